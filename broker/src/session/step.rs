//! What a connection does next, and what can happen to it.

use futures_util::future::{BoxFuture, OptionFuture};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    admitted::Admission,
    cursor_use::Used,
    read::{Located, ReadBatch, Reading},
    responses::{Handled, Response, Responses},
    task::Task,
};
use crate::{host::HostError, mailbox::Mailbox, wire::Reason};

/// What a connection does next. What it has to write is in its output by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes on at once, after others have had their turn.
    Again,
    /// Nothing, before something happens.
    Wait(Wait),
    /// It is over.
    Over,
}

/// What may happen to a connection that waits, besides [events](super::Connection::event) of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Bytes come from the client.
    pub reads: bool,
    /// Output goes to the client.
    pub writes: bool,
    /// This time comes.
    pub until: Option<Instant>,
}

/// Why no more packets are handled now. What the session waits for follows from this alone, and nothing is asked a second time
/// of what may have changed since: so it never waits for the client while it has packets of the client's that it may look at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause {
    /// No packet is complete: more must be read.
    Incomplete,
    /// The client has asked for more than its rate. MQTT 3.1.1 cannot refuse a PUBLISH, and a client of MQTT 5 that is refused
    /// one has lost a message: so neither is read from until then.
    Throttled(Instant),
    /// As many PUBLISHes wait for their response as the client may have under way, or it does not take what is sent to it. A
    /// response, or room in the socket, ends that.
    Full,
    /// A packet is being handled.
    Busy,
}

/// Something that has happened to a connection.
pub(crate) enum Event {
    Received,
    Sent,
    Deadline,
    /// The broker stops.
    Stop,
    Admitted(Admission),
    Mail,
    Response(Response),
    Read(Result<ReadBatch, HostError>),
    Cursor(Result<Used, HostError>),
    /// A PUBLISH was handled, or the session must end before that.
    Published(Result<Handled, Reason>),
    /// The position in the inbox is known, or the session must end before that.
    Position(Located),
}

/// Where events come from, apart from the bytes: both are waited for at once.
pub(crate) enum Events<'a> {
    /// Before CONNACK.
    Connecting {
        admitting: Option<&'a mut BoxFuture<'static, Admission>>,
        stop: &'a CancellationToken,
    },
    Connected {
        task: Option<&'a mut Task>,
        mailbox: &'a Mailbox,
        responses: &'a mut Responses,
        reading: Option<&'a mut Reading>,
        cursor: Option<&'a mut BoxFuture<'static, Result<Used, HostError>>>,
    },
}

impl Events<'_> {
    /// The next one. Cancel-safe.
    pub(crate) async fn next(self) -> Event {
        match self {
            Self::Connecting { admitting, stop } => {
                let admitting: OptionFuture<_> = admitting.into();
                tokio::select! {
                    Some(admission) = admitting => Event::Admitted(admission),
                    () = stop.cancelled() => Event::Stop,
                }
            }
            Self::Connected {
                task: Some(task),
                mailbox,
                ..
            } => match task {
                Task::Publish(handling, _) => Event::Published(mailbox.unless_over(handling).await),
                Task::Position(_, position) => Event::Position(mailbox.unless_over(position).await),
                // Filters are not waited for.
                Task::Subscribe(_) | Task::Unsubscribe(_) => std::future::pending().await,
            },
            Self::Connected {
                mailbox,
                responses,
                reading,
                cursor,
                ..
            } => {
                let (reading, cursor): (OptionFuture<_>, OptionFuture<_>) =
                    (reading.into(), cursor.into());
                tokio::select! {
                    () = mailbox.ready() => Event::Mail,
                    Some(response) = responses.next() => Event::Response(response),
                    Some(batch) = reading => Event::Read(batch),
                    Some(used) = cursor => Event::Cursor(used),
                }
            }
        }
    }
}
