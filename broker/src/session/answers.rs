//! PUBLISHes being answered, in the order they came (MQTT 5 section 4.6.0-2).

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesOrdered};

use crate::wire::{PublishCode, Qos};

/// The answer to a PUBLISH, once it is known.
pub(super) struct Answer {
    pub(super) packet_id: Option<u16>,
    pub(super) qos: Qos,
    pub(super) result: Result<(), Refused>,
}

/// Why a PUBLISH goes nowhere.
pub(super) enum Refused {
    /// Said in PUBACK or PUBREC (5), or dropped in silence, counted and logged (3.1.1).
    With(PublishCode, String),
    /// Not stored, as too much waits to be: the client tries again.
    Busy,
    /// Not stored: the client tries again.
    Unavailable,
}

/// What is known of the answer to a PUBLISH.
pub(super) enum Answering {
    Known(Answer),
    /// It depends on what is being written.
    Pending(BoxFuture<'static, Answer>),
}

/// The answers that are not given yet.
#[derive(Default)]
pub(super) struct Answers(
    // Most of the time there are none, and then it takes no memory.
    Option<FuturesOrdered<BoxFuture<'static, Answer>>>,
);

impl Answers {
    /// Takes the answer to the PUBLISH that came last; gives it back if it is to be given at once.
    pub(super) fn push(&mut self, answering: Answering) -> Option<Answer> {
        let pending = match answering {
            Answering::Known(answer) if self.0.is_none() => return Some(answer),
            Answering::Known(answer) => Box::pin(std::future::ready(answer)),
            Answering::Pending(pending) => pending,
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
    pub(super) async fn next(&mut self) -> Option<Answer> {
        let answers = self.0.as_mut()?;
        let next = answers.next().await;
        if answers.is_empty() {
            self.0 = None;
        }
        next
    }
}
