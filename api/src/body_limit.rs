//! Reads request bodies with a limit on their size and on the time they take, and without keys that are there twice.

use std::{io, sync::Arc, time::Duration};

use poem::{Endpoint, Request, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, copy, sink},
    time::timeout,
};

use crate::{
    error::{ApiError, Code},
    repeated_key,
};

/// How long a client may take to send a body.
const MAX_TIME: Duration = Duration::from_secs(30);

/// How much of a body that is too large is read and dropped. A client that is still sending when the connection closes
/// does not get to read why.
const DRAIN: u64 = 16 * 1024 * 1024;

/// Calls `endpoint` with a body of at most `limit` bytes, all of it in memory.
pub(crate) async fn with_limit<E: Endpoint>(
    limit: usize,
    endpoint: Arc<E>,
    mut request: Request,
) -> Result<E::Output> {
    let body = request.take_body().into_async_read();
    let body = match timeout(MAX_TIME, read(body, limit)).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => {
            let detail = format!("A request body has at most {limit} bytes.");
            return Err(ApiError::new(Code::TooLarge, detail).into());
        }
        Ok(Err(_)) => {
            return Err(ApiError::new(Code::BadRequest, "The body ended early.").into());
        }
        Err(_) => {
            return Err(ApiError::new(Code::RequestTimeout, "The body took too long.").into());
        }
    };
    if repeated_key::is_in(&body) {
        let detail = "A JSON object of the body has a key twice.";
        return Err(ApiError::new(Code::BadRequest, detail).into());
    }
    request.set_body(body);
    endpoint.call(request).await
}

/// `None` if there is more than `limit`.
async fn read(mut body: impl AsyncRead + Unpin, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    (&mut body)
        .take(limit as u64)
        .read_to_end(&mut bytes)
        .await?;
    let rest = copy(&mut body.take(DRAIN), &mut sink()).await?;
    Ok((rest == 0).then_some(bytes))
}
