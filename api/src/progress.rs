//! What the API tells those who look on: what becomes of messages before they end.

use herald_store::{Message, MessageId, Requeued, User};

/// Tells who is there to be told, and nobody later. No call waits for anything.
pub trait TellProgress: Send + Sync {
    /// A message was cancelled, or queued again.
    fn changed(&self, message: &Message);

    /// A dead message was queued again, among others.
    fn requeued(&self, message: &Requeued);

    /// A message of `user` that had ended was deleted.
    fn deleted(&self, user: &User, id: &MessageId);

    /// Messages that wait are due at another time now: some of this user's, or of anyone's with `None`.
    fn moved(&self, user: Option<&User>);
}

/// For an API without a broker: nobody is told.
pub(crate) struct TellNobody;

impl TellProgress for TellNobody {
    fn changed(&self, _: &Message) {}

    fn requeued(&self, _: &Requeued) {}

    fn deleted(&self, _: &User, _: &MessageId) {}

    fn moved(&self, _: Option<&User>) {}
}
