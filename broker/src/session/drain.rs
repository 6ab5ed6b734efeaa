//! A server that is taken out sends its clients to others.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::Context;
use crate::wire::Reason;

/// How often some of the clients are sent away.
const EVERY: Duration = Duration::from_millis(20);

/// How long the last ones may take to go, as what was received is responded to first.
const LAST: Duration = Duration::from_secs(2);

/// Ends all connections, spread evenly `over` this time, and waits for that.
pub(crate) async fn drain(ctx: &Arc<Context>, over: Duration) {
    let all = ctx.registry.connected();
    let (count, begun) = (all.len(), Instant::now());
    let mut left = all.into_iter();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while left.len() > 0 {
        ticks.tick().await;
        let gone = count - left.len();
        let due = due(count, begun.elapsed(), over);
        for mailbox in left.by_ref().take(due.saturating_sub(gone)) {
            mailbox.disconnect(Reason::Moved);
        }
    }
    // Some may have arrived while nobody was to be let in any more.
    let last = async {
        while ctx.registry.count().1 > 0 {
            ctx.registry.disconnect_all(Reason::Moved);
            sleep(EVERY).await;
        }
    };
    if timeout(LAST, last).await.is_err() {
        tracing::warn!(
            connected = ctx.registry.count().1,
            "some clients have not left"
        );
    }
}

/// How many of `count` connections have to be over after `elapsed` of the time that they are spread `over`.
fn due(count: usize, elapsed: Duration, over: Duration) -> usize {
    if elapsed >= over {
        return count;
    }
    let part = count as f64 * elapsed.div_duration_f64(over);
    // Rounded down, and less than `count`.
    part as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_end_evenly_and_all_of_them() {
        let over = Duration::from_secs(10);
        let after = |seconds| due(200, Duration::from_secs(seconds), over);
        assert_eq!([0, 1, 5, 9, 10, 11].map(after), [0, 20, 100, 180, 200, 200]);
        assert_eq!(due(3, Duration::ZERO, Duration::ZERO), 3);
    }
}
