//! What is still done for a session once it is over.

use std::{collections::HashSet, pin::pin, time::Duration};

use herald_acl::topics;
use tokio::time::Instant;

use super::{
    connected::Session,
    end::End,
    offline,
    patience::{last_work_cut_off, last_work_of},
    responses::Responses,
    will,
};
use crate::wire::Reason;

impl Session {
    /// DISCONNECT from the client.
    pub(super) fn disconnected(&mut self, with_will: bool, session_expiry: Option<u32>) -> End {
        if let Some(seconds) = session_expiry {
            if self.expiry.is_zero() && seconds > 0 {
                // MQTT 5 section 3.14.2.2.2.
                return End::Server(Reason::ProtocolError);
            }
            let longest = self.ctx.limits.max_session_expiry_s;
            self.expiry = Duration::from_secs(seconds.min(longest).into());
        }
        if !with_will {
            self.will = None;
        }
        End::Client
    }

    /// Responds to what was received, publishes the will if it is due, and hands on what outlives the connection. Returns what is still to
    /// be sent, unless nothing can be.
    pub(super) async fn finish(mut self: Box<Self>, end: End) -> Option<Vec<u8>> {
        tracing::debug!(user = %self.client.identity.username, client_id = ?self.client.id, %end, "connection ended");
        let mut over = self.expiry.is_zero() || end.ends_session();
        if over {
            self.guard.clear(&mut self.state);
        } else {
            // A SUBSCRIBE may have been cut short.
            let inbox = topics::inbox(&self.client.identity.username);
            self.guard
                .drop_inbox_without_position(&mut self.state, &inbox);
            self.guard.park(&mut self.state);
        }
        // A send that was received is stored, whether or not the client is still there to hear of it.
        let is_cut_off = matches!(end, End::Server(Reason::CutOff));
        self.last_responses(is_cut_off).await;
        let revoked = self.guard.mailbox.is_revoked();
        if revoked && !over {
            over = true;
            self.guard.clear(&mut self.state);
        }
        if over {
            // The last responses are of a session that is over.
            self.state.received = HashSet::new();
        }
        let is_moved = end.is_move();
        if let End::Server(reason) = end {
            self.wire.disconnect(reason);
        }
        let mut will = self.will.take();
        will.take_if(|_| revoked || !end.allows_will());
        if !over {
            self.state.will = will.take_if(|w| !w.delay.is_zero());
            let waits = self.state.will.as_ref();
            if let Some(written) = waits.and_then(|will| will.written.as_ref()) {
                written.waits();
            }
        }
        will.take_if(|_| is_moved);
        let (ctx, client, mailbox) = (&self.ctx, &self.client, &self.guard.mailbox);
        if ctx.standing.stands() {
            will::publish_in_time(ctx, client, mailbox, will).await;
        } else {
            will::publish_unless_others_do(ctx, client, mailbox, will).await;
        }
        let Self {
            ctx,
            mut wire,
            client,
            state,
            guard,
            expiry,
            ..
        } = *self;
        match Instant::now().checked_add(expiry) {
            Some(expires) if !over => {
                ctx.tasks
                    .spawn(offline::wait(ctx.clone(), client, state, guard, expires));
            }
            _ => guard.end(state).await,
        }
        let can_send = !matches!(end, End::Socket(_));
        can_send.then(|| std::mem::take(wire.output()))
    }

    /// Waits for the responses to what was received, and queues them. If the server is cut off, they need not come for long.
    async fn last_responses(&mut self, is_cut_off: bool) {
        let (mailbox, stop) = (self.guard.mailbox.clone(), self.ctx.stop.clone());
        let mut too_long = pin!(async {
            match is_cut_off {
                true => last_work_cut_off(&mailbox).await,
                false => last_work_of(&mailbox, &stop).await,
            }
        });
        loop {
            let response = tokio::select! {
                response = self.responses.next() => response,
                taken_over = too_long.as_mut() => {
                    let user = &self.client.identity.username;
                    tracing::warn!(%user, taken_over, "some messages were not acknowledged in time");
                    // What is not acknowledged by then was not taken, or comes a second time. Nothing of it is left when the
                    // session is somebody else's.
                    self.responses = Responses::default();
                    return;
                }
            };
            let Some(response) = response else { return };
            // A response that the connection no longer takes is one that nobody waits for.
            let _ = self.respond(response);
        }
    }
}
