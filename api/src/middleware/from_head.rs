//! What is decided by the head of a request, before its body is read and before there is an answer: who sends it, and
//! whether there is room for what it asks for.

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

/// How long a request waits for room for its answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Room for an answer, which is in the extensions of its response. Who sends the answer takes it, and gives it back as the
/// client takes the answer; if nobody does, it ends with the response.
#[derive(Clone)]
pub struct AnswerRoom(Arc<Mutex<Option<Held>>>);

/// Room for bytes that a client has not taken yet, until dropped.
#[derive(Debug)]
pub struct Room(Held);

impl AnswerRoom {
    fn new(held: Held) -> Self {
        Self(Arc::new(Mutex::new(Some(held))))
    }

    /// The room, for the first who asks.
    #[must_use]
    pub fn take(&self) -> Option<Room> {
        self.0.lock().take().map(Room)
    }
}

impl Room {
    /// For how many bytes it is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The part of it that `bytes` need.
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

    /// Somebody is signed in.
    pub(crate) fn notify(&self) {
        (self.0)();
    }
}

/// Who sends requests, and what there is room for.
pub(crate) struct Heads {
    pub(crate) authenticator: Authenticator,
    /// What clients have not taken of the answers to users.
    pub(crate) answers: Arc<Budget>,
    pub(crate) list_reads: ListReads,
}

/// Calls `endpoint` once it is known who sends a request that needs it, and there is room for its answer. Its body has not
/// been read.
pub(crate) async fn known<E: Endpoint>(
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
    let response = {
        let _permit = match plan.reads {
            true => Some(heads.list_reads.acquire(&user).await?),
            false => None,
        };
        endpoint.call(request).await?.into_response()
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
