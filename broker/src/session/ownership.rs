//! A session becomes this server's, or stops being so, where there are several.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    admitted::NotAdmitted, client::Client, context::Context, guard::SessionGuard,
    kept_will::to_kept, will,
};
use crate::{
    ids::SessionId,
    live_sessions::{LiveSession, id_of},
    owners::{Arrival, NotOwned, OwnSession, Owned, SessionEnd, WrittenWill},
    registry::{Arrived, Ending},
    state::HandedSession,
    wire::{Connect, Reason},
};

/// A client whose session this server has, from when it arrived until it is decided what comes of it.
pub(super) struct Ownership {
    ctx: Arc<Context>,
    session: OwnSession,
    owned: Option<Owned>,
}

impl Ownership {
    /// Makes the session of `client`, which outlives its connection for `expiry` seconds, this server's; `None`: it always is.
    pub(super) async fn of(
        ctx: &Arc<Context>,
        client: &Client,
        connect: &Connect,
        expiry: u32,
    ) -> Result<Option<Self>, NotAdmitted> {
        let Some(owners) = ctx.registry.owners().cloned() else {
            return Ok(None);
        };
        let arrived = ctx.registry.arrive(&client.identity, &client.id);
        let mut ownership = Self {
            ctx: ctx.clone(),
            session: arrived.session.clone(),
            owned: None,
        };
        // Once more: whoever ends all that has arrived when the server is cut off may have done so before.
        if !ctx.standing.stands() {
            return Err((Reason::CutOff, "this server is cut off".into()));
        }
        let arrival = Arrival {
            will: connect.will.as_ref().map(|will| to_kept(will, expiry)),
            ..arrival(ctx, client, arrived, connect.clean)
        };
        let taking_over = owners.take_over(arrival);
        let (done, taken_over) = oneshot::channel();
        // The connection may end meanwhile; what was begun is told to the end, and then taken back.
        ctx.tasks.spawn(async move {
            let taken_over = taking_over.await;
            ownership.owned = taken_over.ok();
            drop(done.send(taken_over.map(|_| ownership)));
        });
        let limit = ctx.limits.sessions_per_user;
        match taken_over.await {
            Ok(Ok(ownership)) => Ok(Some(ownership)),
            Ok(Err(NotOwned::TooMany)) => Err(too_many(limit)),
            Ok(Err(NotOwned::Unavailable)) | Err(_) => {
                let text = "the server cannot tell the others right now";
                Err((Reason::Unavailable, text.into()))
            }
        }
    }

    /// What the session begins with if it is a new one.
    pub(super) fn session(&self) -> SessionId {
        SessionId::from_number(self.session.number)
    }

    /// Has the will that its client came with settled in the end.
    pub(super) fn written_will(&self) -> WrittenWill {
        let owners = self.ctx.registry.owners();
        WrittenWill::new(owners.cloned(), self.session.clone())
    }

    /// What enters it.
    pub(super) fn entering(&self) -> Option<(&OwnSession, Owned)> {
        Some((&self.session, self.owned?))
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        let (ctx, left) = (
            &self.ctx,
            self.ctx.registry.settle(&self.session, self.owned),
        );
        if let Some(left) = left {
            let ending = end(ctx.clone(), left, SessionEnd::GoesOn);
            ctx.tasks.spawn(ending);
        }
    }
}

/// Why a user gets no more sessions.
pub(super) fn too_many(limit: usize) -> NotAdmitted {
    let text = format!("you have {limit} sessions already; close one");
    (Reason::QuotaExceeded, text)
}

fn arrival(ctx: &Context, client: &Client, arrived: Arrived, clean: bool) -> Arrival {
    let link = &client.link;
    Arrival {
        listed: LiveSession {
            id: id_of(arrived.listed),
            username: client.identity.username.clone(),
            client_id: client.id.clone(),
            credential: client.identity.credential.clone(),
            peer: Some(link.peer()),
            transport: link.transport,
            protocol: link.protocol,
            began_at: link.began_at,
            keep_alive_s: link.keep_alive_s,
            subscriptions: 0,
            in_flight: 0,
        },
        session: arrived.session,
        clean,
        limit: ctx.limits.sessions_per_user,
        here: arrived.here,
        idle_here: arrived.idle_here,
        will: None,
    }
}

/// Ends a session of this server as it is not to have it any more, unless it was taken over since. Resolves when nothing more is
/// delivered in it.
pub(crate) async fn end(ctx: Arc<Context>, session: OwnSession, end: SessionEnd) {
    match ctx.registry.end(&session, end) {
        None => {}
        Some(Ending::Ends(ends)) => {
            // It never comes to anything else.
            let _ = ends.await;
        }
        Some(Ending::Handed {
            identity,
            handed,
            mailbox,
        }) => {
            // A client that has come back to this server meanwhile is told to the end by that.
            let Some(mut state) = handed.await.ok().and_then(HandedSession::take) else {
                return;
            };
            let link = mailbox.view().map(|view| view.link);
            let guard = SessionGuard::new(&ctx, &session.username, state.id, mailbox);
            let will = state.will.take_if(|_| end == SessionEnd::BeginsAnew);
            state.will = None;
            guard.clear(&mut state);
            let client = link.map(|link| Client {
                identity,
                id: session.client_id.clone(),
                session: state.id,
                link,
            });
            guard.end(state).await;
            if let Some(client) = client {
                will::publish(&ctx, &client, will).await;
            }
        }
    }
}
