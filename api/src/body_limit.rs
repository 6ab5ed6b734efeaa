//! Reads request bodies with a limit on their size and on the time they take.

use std::{sync::Arc, time::Duration};

use poem::{Endpoint, Request, Result, error::ReadBodyError, http::header::CONTENT_LENGTH};
use tokio::time::timeout;

use crate::error::{ApiError, Code};

/// How long a client may take to send a body.
const MAX_TIME: Duration = Duration::from_secs(30);

/// Calls `endpoint` with a body of at most `limit` bytes, all of it in memory.
pub(crate) async fn with_limit<E: Endpoint>(
    limit: usize,
    endpoint: Arc<E>,
    mut request: Request,
) -> Result<E::Output> {
    if announced(&request).is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit).into());
    }
    let body = request.take_body().into_bytes_limit(limit);
    let body = match timeout(MAX_TIME, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => return Err(too_large(limit).into()),
        Ok(Err(_)) => {
            return Err(ApiError::new(Code::BadRequest, "The body ended early.").into());
        }
        Err(_) => {
            return Err(ApiError::new(Code::RequestTimeout, "The body took too long.").into());
        }
    };
    request.set_body(body);
    endpoint.call(request).await
}

fn announced(request: &Request) -> Option<u64> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        Code::TooLarge,
        format!("A request body has at most {limit} bytes."),
    )
}
