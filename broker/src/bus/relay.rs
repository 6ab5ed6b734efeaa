//! What takes messages from those who publish to the subscriptions of this process.

use std::sync::Arc;

use crate::message::Message;

/// Returns each message once, in the order in which they were handed over. Bounded. Repairs itself after a failure while its
/// owner waits in [`receive`](Relay::receive).
pub(super) trait Relay {
    /// Hands `message` over. If there is no room it is given back: there may be some after the next
    /// [`receive`](Relay::receive).
    fn hand_over(&mut self, message: Arc<Message>) -> Result<(), Arc<Message>>;

    /// The next message. Cancel-safe.
    fn receive(&mut self) -> impl Future<Output = Arc<Message>> + Send;
}
