//! Inboxes in memory.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_broker::{Batch, HostError, Identity, Inbox, Notification, Position};

/// Notifications 1 to [`NEWEST`](Log::NEWEST), the same for everyone.
pub(crate) trait Log: Send + Sync + 'static {
    /// The number of the newest one.
    const NEWEST: i64;

    /// A read of `user`'s inbox: up to `limit` notifications after `after`.
    fn read(&self, user: &Identity, after: i64, limit: usize) -> Vec<Notification>;

    /// Everything up to `up_to` was acknowledged.
    fn acknowledge(&self, _up_to: i64) {}
}

/// An inbox in which no cursor ever moves.
pub(crate) struct Unmoved<L>(pub(crate) Arc<L>);

impl<L: Log> Inbox for Unmoved<L> {
    fn position(
        &self,
        _: &Identity,
        _: Option<&Arc<str>>,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        let position = Position {
            acknowledged: 0,
            newest: L::NEWEST,
        };
        async move { Ok(position) }.boxed()
    }

    fn set_position(
        &self,
        user: &Identity,
        client_id: &Arc<str>,
        _: i64,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        self.position(user, Some(client_id))
    }

    fn read(
        &self,
        user: &Identity,
        after: i64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Batch, HostError>> {
        let (log, user) = (self.0.clone(), user.clone());
        async move {
            let notifications = log.read(&user, after, limit);
            let more = notifications.last().is_some_and(|n| n.seq < L::NEWEST);
            Ok(Batch {
                notifications,
                more,
            })
        }
        .boxed()
    }

    fn epoch(&self) -> Arc<str> {
        "e1".into()
    }

    fn acknowledge(&self, _: &Identity, _: Option<&Arc<str>>, up_to: i64) {
        self.0.acknowledge(up_to);
    }
}
