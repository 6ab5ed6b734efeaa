//! Responses to PUBLISHes, in the order in which these came (MQTT 5 section 4.6.0-2).

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};

use crate::{
    limits::RECEIVE_MAXIMUM,
    user_bytes::UserBytes,
    wire::{PublishCode, Qos},
};

/// What PUBACK or PUBREC responds to a PUBLISH.
pub(crate) struct Response {
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
pub(crate) enum Handled {
    Done(Response),
    /// The response depends on what is being written.
    Pending(BoxFuture<'static, Response>),
}

/// The responses that are not sent yet.
#[derive(Default)]
pub(crate) struct Responses {
    // Most of the time there are none, and then it takes no memory.
    pending: Option<FuturesOrdered<BoxFuture<'static, Response>>>,
    /// The last PUBLISH found no room among the bytes of its user.
    is_without_room: bool,
}

impl Responses {
    /// Takes what came of the last PUBLISH, whose payload is held until then and takes so many `bytes`. Returns the response if
    /// it is to be sent at once.
    pub(super) fn push(
        &mut self,
        handled: Handled,
        bytes: usize,
        user: &UserBytes,
    ) -> Option<Response> {
        let pending = match handled {
            Handled::Done(response) if self.pending.is_none() => return Some(response),
            Handled::Done(response) => Box::pin(std::future::ready(response)),
            Handled::Pending(pending) => match user.try_hold_send(bytes) {
                Some(held) => pending.inspect(move |_| drop(held)).boxed(),
                None => {
                    self.is_without_room = true;
                    pending
                }
            },
        };
        self.pending
            .get_or_insert_with(FuturesOrdered::new)
            .push_back(pending);
        None
    }

    /// Whether the client is to get some before it may send more: it has as many PUBLISHes under way as it may, or there is no
    /// room for another one. So beyond the bytes of its user a session holds one payload.
    pub(super) fn is_full(&self) -> bool {
        let len = self.pending.as_ref().map_or(0, FuturesOrdered::len);
        self.is_without_room || len >= RECEIVE_MAXIMUM.into()
    }

    /// The next one, once it is known; `None` if there are none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Response> {
        let pending = self.pending.as_mut()?;
        let next = pending.next().await;
        if pending.is_empty() {
            *self = Self::default();
        }
        next
    }
}
