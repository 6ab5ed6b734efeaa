//! Inboxes in memory.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_broker::{Batch, HostError, Identity, Inbox, Notification, Position};

/// What a host returns in time.
pub(crate) type Returned<T> = BoxFuture<'static, Result<T, HostError>>;

/// A notification with this number.
pub(crate) fn notification(seq: i64) -> Notification {
    Notification {
        seq,
        payload: format!(r#"{{"seq":{seq}}}"#).into(),
    }
}

/// Notifications 1 to [`newest`](Log::newest), the same for everyone.
pub(crate) trait Log: Send + Sync + 'static {
    /// The number of the newest one.
    fn newest(&self) -> i64;

    /// Where a cursor is: it has never moved.
    fn position(&self, _client_id: Option<&Arc<str>>) -> Returned<Position> {
        let position = Position {
            acknowledged: 0,
            newest: self.newest(),
        };
        async move { Ok(position) }.boxed()
    }

    /// A cursor is to be at `to`.
    fn set_position(&self, client_id: &Arc<str>, _to: i64) -> Returned<Position> {
        self.position(Some(client_id))
    }

    /// A read of `user`'s inbox: up to `limit` notifications after `after`.
    fn read(&self, _user: &Identity, after: i64, limit: usize) -> Vec<Notification> {
        let left = (after + 1)..=self.newest();
        left.take(limit).map(notification).collect()
    }

    /// Everything up to `up_to` was acknowledged.
    fn acknowledge(&self, _client_id: Option<&Arc<str>>, _up_to: i64) {}
}

/// The inboxes whose log this is.
pub(crate) struct Inboxes<L>(pub(crate) Arc<L>);

impl<L: Log> Inbox for Inboxes<L> {
    fn position(&self, _: &Identity, client_id: Option<&Arc<str>>) -> Returned<Position> {
        self.0.position(client_id)
    }

    fn set_position(&self, _: &Identity, client_id: &Arc<str>, to: i64) -> Returned<Position> {
        self.0.set_position(client_id, to)
    }

    fn read(&self, user: &Identity, after: i64, limit: usize) -> Returned<Batch> {
        let (log, user) = (self.0.clone(), user.clone());
        async move {
            let notifications = log.read(&user, after, limit);
            let newest = log.newest();
            let more = notifications.last().is_some_and(|n| n.seq < newest);
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

    fn acknowledge(&self, _: &Identity, client_id: Option<&Arc<str>>, up_to: i64) {
        self.0.acknowledge(client_id, up_to);
    }
}
