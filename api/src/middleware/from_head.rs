//! What is decided by the head of a request, before its body is read: who sends it, and whether there is room for the
//! response.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use poem::{Endpoint, IntoResponse as _, Request, Response, Result};

use crate::{
    error::{ApiError, Code},
    limits::{
        budget::{Budget, Exhausted, Held, Payer},
        list_reads::ListReads,
    },
    middleware::{
        caller::{Authenticator, Caller},
        strict::Plan,
    },
};

/// How long a request waits for room for its response.
const PATIENCE: Duration = Duration::from_secs(3);

/// Room for a response, in the response's extensions. The connection that sends it takes the room, and gives it back while
/// the client reads; if nobody takes it, it ends with the response.
#[derive(Clone)]
pub struct AnswerRoom(Arc<Mutex<Option<Held>>>);

/// Room for bytes that a client has not taken yet, until dropped.
#[derive(Debug)]
pub struct Room(Held);

impl AnswerRoom {
    fn new(held: Held) -> Self {
        Self(Arc::new(Mutex::new(Some(held))))
    }

    /// The room; `None` after the first call.
    #[must_use]
    pub fn take(&self) -> Option<Room> {
        self.0.lock().take().map(Room)
    }
}

impl Room {
    /// How many bytes it is for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Splits off room for `bytes`.
    #[must_use]
    pub fn part(&mut self, bytes: usize) -> Self {
        Self(self.0.split(bytes))
    }
}

/// Called when somebody who is signed in uses the connection that a request comes by. It is in the extensions of the request.
#[derive(Clone)]
pub struct OnSignIn(Arc<dyn Fn() + Send + Sync>);

impl OnSignIn {
    /// Calls `on_sign_in`, perhaps more than once.
    pub fn new(on_sign_in: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(on_sign_in))
    }

    /// Calls it.
    pub(crate) fn notify(&self) {
        (self.0)();
    }
}

/// Knows callers, and what there is room for.
pub(crate) struct Heads {
    pub(crate) authenticator: Authenticator,
    /// Bytes of responses to users that clients have not read.
    pub(crate) answers: Arc<Budget>,
    pub(crate) list_reads: ListReads,
}

/// Calls `endpoint` once the caller is known, if the operation needs one, and there is room for the response. The body has
/// not been read.
pub(crate) async fn known<E: Endpoint + 'static>(
    heads: Arc<Heads>,
    endpoint: Arc<E>,
    mut request: Request,
) -> Result<Response> {
    let plan = request.data::<Plan>().copied();
    let Some(plan) = plan.filter(|plan| plan.signed_in) else {
        return Ok(endpoint.call(request).await?.into_response());
    };
    let caller: Caller = heads.authenticator.caller(&request).await?;
    if let Some(connection) = request.data::<OnSignIn>() {
        connection.notify();
    }
    let user = caller.user.id.clone();
    request.set_data(caller);
    let payer = Payer::User(user.clone());
    let room = heads.answers.hold(payer, plan.answer_bytes, PATIENCE).await;
    let mut room = room.map_err(refused)?;
    let called = async move { Ok(endpoint.call(request).await?.into_response()) };
    let response = match plan.reads {
        true => heads.list_reads.run(&user, called).await?,
        false => called.await?,
    };
    let (parts, body) = response.into_parts();
    let body = body.into_bytes().await;
    let body = body.map_err(|error| ApiError::internal(&error))?;
    room.resize(body.len(), PATIENCE).await.map_err(refused)?;
    Ok(with_room(Response::from_parts(parts, body.into()), room))
}

fn with_room(mut response: Response, room: Held) -> Response {
    response.set_data(AnswerRoom::new(room));
    response
}

fn refused(exhausted: Exhausted) -> ApiError {
    match exhausted {
        Exhausted::Share => ApiError::new(
            Code::RateLimited,
            "You have asked for more than you have read of the answers. Read them first.",
        )
        .retry_after(Duration::from_secs(1)),
        Exhausted::All => ApiError::busy(),
    }
}
