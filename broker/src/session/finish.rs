//! What is still done for a session once it is over.

use std::{collections::HashSet, pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};

use super::{
    answers::Answers, connected::Session, end::End, io::Io, offline, patience::patience, will,
};
use crate::wire::Reason;

/// How long answers to what was received may still take.
const LAST_ANSWERS: Duration = Duration::from_secs(12);

/// The same once the client has connected again, and waits for the session: as long as a write takes, not one that is held
/// back. What is not answered by then was not taken, or comes a second time.
const AT_TAKEOVER: Duration = Duration::from_millis(200);

/// The same when the broker stops: as long as a write takes, too.
const AT_STOP: Duration = Duration::from_millis(300);

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

    /// Answers what was received, publishes the will if it is due, hands on what outlives the connection, and says goodbye.
    pub(super) async fn finish<S>(mut self: Box<Self>, mut io: Box<Io<S>>, end: End)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        tracing::debug!(user = %self.client.identity.username, client_id = ?self.client.id, %end, "connection ended");
        let mut over = self.expiry.is_zero() || end.ends_session();
        if over {
            self.guard.clear(&mut self.state);
        } else {
            self.guard.park(&mut self.state);
        }
        // A send that was received is stored, whether or not the client is still there to hear of it.
        self.last_answers().await;
        let revoked = self.guard.mailbox.is_revoked();
        if revoked && !over {
            over = true;
            self.guard.clear(&mut self.state);
        }
        if over {
            // The last answers are to a session that is over.
            self.state.received = HashSet::new();
        }
        if let End::Server(reason) = end {
            self.wire.disconnect(reason);
        }
        let mut will = self.will.take();
        will.take_if(|_| revoked || !end.allows_will());
        if !over {
            self.state.will = will.take_if(|w| !w.delay.is_zero());
        }
        will::publish(&self.ctx, &self.client, will).await;
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
        if !matches!(end, End::Socket(_)) {
            io.finish(&mut wire, &ctx.stop).await;
        }
    }

    /// Waits for the answers to what was received, and queues them.
    async fn last_answers(&mut self) {
        let stop = self.ctx.stop.clone();
        let patience = patience(&stop, LAST_ANSWERS, AT_STOP);
        let mut patience = pin!(patience);
        let mut taken_over_at = None;
        loop {
            if self.guard.mailbox.is_taken_over() {
                taken_over_at.get_or_insert_with(|| Instant::now() + AT_TAKEOVER);
            }
            let taken_over = async {
                match taken_over_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let too_long = async {
                tokio::select! {
                    () = patience.as_mut() => {}
                    () = taken_over => {}
                }
            };
            let answer = tokio::select! {
                answer = self.answers.next() => answer,
                () = self.guard.mailbox.ready() => continue,
                () = too_long => {
                    let user = &self.client.identity.username;
                    let taken_over = taken_over_at.is_some();
                    tracing::warn!(%user, taken_over, "some messages were not answered in time");
                    // Nothing of them is left when the session is somebody else's.
                    self.answers = Answers::default();
                    return;
                }
            };
            let Some(answer) = answer else { return };
            // An answer that the connection no longer takes is one that nobody waits for.
            let _ = self.answer(answer);
        }
    }
}
