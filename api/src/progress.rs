//! What the API reports of messages before they end.

use herald_store::{Message, MessageId, Requeued, User};

/// Reports to clients that are connected and subscribed, and to nobody later. No call waits for anything.
pub trait ReportProgress: Send + Sync {
    /// A message was cancelled, or queued again.
    fn changed(&self, message: &Message);

    /// A dead message was queued again, among others.
    fn requeued(&self, message: &Requeued);

    /// A message of `user` that had ended was deleted.
    fn deleted(&self, user: &User, id: &MessageId);

    /// Messages that wait are due at another time now: some of this user's, or of anyone's with `None`.
    fn moved(&self, user: Option<&User>);
}

/// For an API without a broker.
pub(crate) struct NoReports;

impl ReportProgress for NoReports {
    fn changed(&self, _: &Message) {}

    fn requeued(&self, _: &Requeued) {}

    fn deleted(&self, _: &User, _: &MessageId) {}

    fn moved(&self, _: Option<&User>) {}
}
