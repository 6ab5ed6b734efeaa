//! Responses to PUBLISHes, in the order in which these came (MQTT 5 section 4.6.0-2).

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesOrdered};

use crate::wire::{PublishCode, Qos};

/// What PUBACK or PUBREC responds to a PUBLISH.
pub(super) struct Response {
    pub(super) packet_id: Option<u16>,
    pub(super) qos: Qos,
    pub(super) result: Result<(), Refused>,
}

/// Why a PUBLISH goes nowhere.
pub(super) enum Refused {
    /// With a reason code in PUBACK or PUBREC (5); 3.1.1 has none, so it is counted and logged.
    With(PublishCode, String),
    /// Not stored, as too much waits to be: the client tries again.
    Busy,
    /// Not stored: the client tries again.
    Unavailable,
}

/// A PUBLISH that was accepted or refused.
pub(super) enum Handled {
    Done(Response),
    /// The response depends on what is being written.
    Pending(BoxFuture<'static, Response>),
}

/// The responses that are not sent yet.
#[derive(Default)]
pub(super) struct Responses(
    // Most of the time there are none, and then it takes no memory.
    Option<FuturesOrdered<BoxFuture<'static, Response>>>,
);

impl Responses {
    /// Takes what came of the last PUBLISH. Returns the response if it is to be sent at once.
    pub(super) fn push(&mut self, handled: Handled) -> Option<Response> {
        let pending = match handled {
            Handled::Done(response) if self.0.is_none() => return Some(response),
            Handled::Done(response) => Box::pin(std::future::ready(response)),
            Handled::Pending(pending) => pending,
        };
        self.0
            .get_or_insert_with(FuturesOrdered::new)
            .push_back(pending);
        None
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, FuturesOrdered::len)
    }

    /// The next one, once it is known; `None` if there are none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Response> {
        let responses = self.0.as_mut()?;
        let next = responses.next().await;
        if responses.is_empty() {
            self.0 = None;
        }
        next
    }
}
