//! Reads request bodies with limits on their size, on the time they take, on what is held of all of them, and on what JSON
//! they hold.

use std::{io, sync::Arc, time::Duration};

use poem::{Endpoint, Request, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, copy, sink},
    time::timeout,
};

use crate::{
    error::{ApiError, Code},
    limits::{
        address,
        budget::{Budget, Exhausted, Held, Payer, Shares},
    },
    middleware::{
        caller::Caller,
        json_shape::{self, Fault},
        strict::Plan,
        unread::Unread,
    },
};

/// The longest body of a caller who is not signed in, and of a request that needs no body, in bytes.
const SMALL: usize = 4 * 1024;

/// Bytes being received from all who are not signed in, and from one address.
const ANONYMOUS: Shares = Shares {
    in_all: 32 << 20,
    each: 1 << 20,
};

/// How long a client may take to send a body, and a small one.
const MAX_TIME: Duration = Duration::from_secs(30);
const MAX_TIME_SMALL: Duration = Duration::from_secs(10);

/// How long a body waits for its share of the budget.
const PATIENCE: Duration = Duration::from_secs(3);

/// The steps in which a body is read and held, in bytes.
const STEP: usize = 16 * 1024;

/// How much of a body that is too large is read and dropped. A client that is still sending when the connection closes
/// cannot read the response.
const DRAIN: u64 = 16 * 1024 * 1024;

/// Why there is no body.
enum Failed {
    TooLarge,
    Early,
    Exhausted(Exhausted),
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Self {
        Self::Early
    }
}

/// Bodies that are being received.
pub(crate) struct Bodies {
    /// Bytes of the bodies that users send.
    users: Arc<Budget>,
    /// The same for everybody else.
    anonymous: Arc<Budget>,
}

impl Bodies {
    /// `users` are the bytes of all users, and of one.
    pub(crate) fn new(users: Shares) -> Self {
        Self {
            users: Budget::new(users),
            anonymous: Budget::new(ANONYMOUS),
        }
    }

    /// The budget that pays for the body of `request`, and whose share of it.
    fn paid_by(&self, request: &Request) -> (Arc<Budget>, Payer) {
        match request.data::<Caller>() {
            Some(caller) => (Arc::clone(&self.users), Payer::User(caller.user.id.clone())),
            None => {
                let address = address::network(address::of(request).ip());
                (Arc::clone(&self.anonymous), Payer::Address(address))
            }
        }
    }
}

/// Calls `endpoint` with a body of at most `limit` bytes, all of it in memory; of [`SMALL`] where no large one is expected.
/// Reads no body if there is no such operation.
pub(crate) async fn with_limit<E: Endpoint>(
    limit: usize,
    bodies: Arc<Bodies>,
    endpoint: Arc<E>,
    mut request: Request,
) -> Result<E::Output> {
    let Some(plan) = request.data::<Plan>().copied() else {
        return endpoint.call(request).await;
    };
    let body = Unread::take(&request);
    let (limit, time) = match plan.body && plan.signed_in {
        true => (limit, MAX_TIME),
        false => (SMALL, MAX_TIME_SMALL),
    };
    let (budget, payer) = bodies.paid_by(&request);
    let reading = read(body.into_async_read(), limit, &budget, payer);
    let (body, _held) = match timeout(time, reading).await {
        Ok(read) => read.map_err(|failed| to_error(&failed, limit))?,
        Err(_) => {
            return Err(ApiError::new(Code::RequestTimeout, "The body took too long.").into());
        }
    };
    if let Err(fault) = json_shape::check(&body) {
        let detail = match fault {
            Fault::RepeatedKey => "A JSON object of the body has a key twice.",
            Fault::TooMany => "The JSON of the body has more values than any request needs.",
        };
        return Err(ApiError::new(Code::BadRequest, detail).into());
    }
    request.set_body(body);
    endpoint.call(request).await
}

fn to_error(failed: &Failed, limit: usize) -> ApiError {
    match failed {
        Failed::TooLarge => {
            let detail = format!("A request body has at most {limit} bytes.");
            ApiError::new(Code::TooLarge, detail)
        }
        Failed::Early => ApiError::new(Code::BadRequest, "The body ended early."),
        Failed::Exhausted(Exhausted::Share) => {
            let detail = "You send too much at once. Wait for some answers before you send more.";
            let error = ApiError::new(Code::RateLimited, detail);
            error.retry_after(Duration::from_secs(1))
        }
        Failed::Exhausted(Exhausted::All) => ApiError::busy(),
    }
}

/// Reads `body`, and holds as many bytes of the budget as it has read.
async fn read(
    mut body: impl AsyncRead + Unpin,
    limit: usize,
    budget: &Arc<Budget>,
    payer: Payer,
) -> Result<(Vec<u8>, Held), Failed> {
    let held = budget.hold(payer, 0, PATIENCE).await;
    let mut held = held.map_err(Failed::Exhausted)?;
    let mut bytes = Vec::new();
    while bytes.len() <= limit {
        // One byte beyond the limit shows that there is more.
        let step = STEP.min(limit + 1 - bytes.len());
        let room = held.resize(bytes.len() + step, PATIENCE).await;
        room.map_err(Failed::Exhausted)?;
        let read = (&mut body)
            .take(step as u64)
            .read_to_end(&mut bytes)
            .await?;
        if read < step {
            return Ok((bytes, held));
        }
    }
    drop((bytes, held));
    copy(&mut body.take(DRAIN), &mut sink()).await?;
    Err(Failed::TooLarge)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn payer() -> Payer {
        Payer::Address([192, 0, 2, 1].into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_held_while_it_is_there_and_not_read_beyond_the_share() {
        let budget = Budget::new(Shares {
            in_all: 4 * STEP,
            each: 2 * STEP,
        });
        let body = vec![7; STEP + 1];
        let (read_, held) = read(&body[..], STEP + 1, &budget, payer())
            .await
            .ok()
            .unwrap();
        assert_eq!((read_.len(), held.bytes()), (STEP + 1, STEP + 2));
        let mut second = Box::pin(read(&body[..], STEP + 1, &budget, payer()));
        assert!((&mut second).now_or_never().is_none());
        drop(held);
        assert!(second.await.is_ok());
        let too_large = read(&body[..], STEP, &budget, payer()).await;
        assert!(matches!(too_large, Err(Failed::TooLarge)));
    }
}
