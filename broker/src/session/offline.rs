//! A session without a connection: it waits for its client, for its will to be due, or for its end.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{client::Client, context::Context, guard::SessionGuard, recheck::recheck, will};
use crate::{state::SessionState, wire::Reason};

/// Keeps the session until its client comes back or `expires` has come.
pub(super) async fn wait(
    ctx: Arc<Context>,
    client: Arc<Client>,
    mut state: Box<SessionState>,
    mut guard: SessionGuard,
    expires: Instant,
) {
    let since = Instant::now();
    loop {
        let orders = guard.mailbox.take_orders();
        if let Some(takeover) = orders.takeover {
            match guard.hand_over(state, takeover).await {
                Some(back) => {
                    state = back;
                    if orders.recheck {
                        guard.mailbox.recheck();
                    }
                }
                None => return,
            }
            guard.go_offline(&state);
            continue;
        }
        if let Some(reason) = orders.stop {
            match reason {
                // Nothing more is published for a user who lost the right to be here.
                Reason::NotAuthorized => state.will = None,
                Reason::ShuttingDown => leave_will(&mut state),
                _ => {}
            }
            break;
        }
        if orders.recheck && !recheck(&ctx, &client, &mut state, &guard) {
            break;
        }
        let will_due = state.will.as_ref();
        let will_due = will_due.map(|w| (since + w.delay).min(expires));
        tokio::select! {
            () = guard.mailbox.ready() => {}
            () = sleep_until(will_due.unwrap_or(expires)), if will_due.is_some() => {
                let will = state.will.take();
                will::publish_unless_others_do(&ctx, &client, &guard.mailbox, will).await;
            }
            () = sleep_until(expires) => break,
            () = ctx.stop.cancelled() => {
                leave_will(&mut state);
                return;
            }
        }
    }
    // The session ends, and with it the time to wait (MQTT 5 section 3.1.3.2.2).
    will::publish_unless_others_do(&ctx, &client, &guard.mailbox, state.will.take()).await;
    guard.clear(&mut state);
    guard.end(state).await;
}

/// Other servers publish a will that waits, as this one stops.
fn leave_will(state: &mut SessionState) {
    if let Some(written) = state.will.take().and_then(|will| will.written) {
        written.leave();
    }
}
