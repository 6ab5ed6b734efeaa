//! A session without a connection: it waits for its client, for its will to be due, or for its end.

use std::sync::Arc;

use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

use super::{Client, Context, Handover, Kept, rights, will};
use crate::wire::Reason;

/// A session that waits.
pub(super) struct Waiting {
    ctx: Arc<Context>,
    client: Client,
    kept: Box<Kept>,
    since: Instant,
    expires: Instant,
}

/// Keeps the session until its client comes back or `expires` has come.
pub(super) async fn wait(ctx: Arc<Context>, client: Client, kept: Box<Kept>, expires: Instant) {
    let waiting = Waiting {
        ctx,
        client,
        kept,
        since: Instant::now(),
        expires,
    };
    waiting.run().await;
}

impl Waiting {
    /// The session, for its next connection.
    pub(super) fn into_kept(mut self) -> Box<Kept> {
        self.kept.goes_on = true;
        self.kept
    }

    /// The session was to be handed over, and was not taken: it waits on, in a task of its own.
    pub(super) fn go_on(self) {
        self.kept.go_offline();
        // There is none only when the process ends.
        if Handle::try_current().is_ok() {
            let tasks = self.ctx.tasks.clone();
            tasks.spawn(Box::pin(self.run()));
        }
    }

    async fn run(mut self) {
        loop {
            let orders = self.kept.mailbox.take_orders();
            if let Some(claim) = orders.claim {
                match claim.send(Handover::of_waiting(self)) {
                    Ok(()) => return,
                    // That connection has given up.
                    Err(refused) => match refused.back() {
                        Some(back) => self = back,
                        None => return,
                    },
                }
                self.kept.go_offline();
                continue;
            }
            if let Some(reason) = orders.stop {
                // A user who lost the right to be here has lost that to a last word, too.
                if reason == Reason::NotAuthorized {
                    self.kept.will = None;
                }
                break;
            }
            if orders.recheck && !rights::recheck(&self.ctx, &self.client, &mut self.kept) {
                break;
            }
            let (since, expires) = (self.since, self.expires);
            let will_due = self.kept.will.as_ref();
            let will_due = will_due.map(|w| (since + w.delay).min(expires));
            tokio::select! {
                () = self.kept.mailbox.ready() => {}
                () = sleep_until(will_due.unwrap_or(expires)), if will_due.is_some() => {
                    will::publish(&self.ctx, &self.client, self.kept.will.take()).await;
                }
                () = sleep_until(expires) => break,
                () = self.ctx.stop.cancelled() => return,
            }
        }
        // The session ends, and with it the time to wait (MQTT 5 section 3.1.3.2.2).
        let Self {
            ctx,
            client,
            mut kept,
            ..
        } = self;
        will::publish(&ctx, &client, kept.will.take()).await;
        kept.clear();
        kept.end();
    }
}
