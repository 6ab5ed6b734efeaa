//! A failed request: its code, and what is said to its client.

use std::{borrow::Cow, time::Duration};

use herald_store::{BodyError, StoreError};
use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::types::ToJSON as _;

use super::{
    code::Code,
    problem::{PROBLEM_JSON, Problem},
};
use crate::{accounts::AccountError, sends::SendError};

/// When to try again while nothing can be stored: somebody has to look at the server first.
const STORAGE_WAIT: Duration = Duration::from_secs(10);

/// When to try again while the server of the database is not there: it may be starting again.
const UNREACHABLE_WAIT: Duration = Duration::from_secs(2);

/// When to try again while too many of a user's messages wait: some of them have to end first.
const WAITING_WAIT: Duration = Duration::from_secs(10);

/// When to try again while a user's messages take too much room: nothing changes by itself but once an hour.
const ROOM_WAIT: Duration = Duration::from_secs(60);

/// A failed request, as its client sees it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct ApiError {
    code: Code,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
}

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// Sets `Retry-After`.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    pub(crate) fn unauthenticated(detail: &'static str) -> Self {
        Self::new(Code::Unauthenticated, detail)
    }

    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Invalid, detail)
    }

    /// Logs what happened; the client does not learn it.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(error), "a request failed");
        Self::new(
            Code::Internal,
            "The server failed to answer. Its log says why.",
        )
    }

    /// The body of the response.
    pub(crate) fn problem(&self) -> Problem {
        let status = self.code.status();
        Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone().into_owned(),
            code: self.code,
        }
    }

    /// The server has too much to do.
    pub(crate) fn busy() -> Self {
        Self::new(Code::Busy, "The server has too much to do. Try again.")
            .retry_after(Duration::from_secs(1))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy
            | StoreError::Locked
            | StoreError::Closed
            | StoreError::TooSlow
            | StoreError::Conflict => Self::busy(),
            StoreError::Unreachable { .. } => {
                tracing::error!(%error, "a request could not be served");
                Self::new(
                    Code::NotReady,
                    "The database does not answer at the moment. Try again.",
                )
                .retry_after(UNREACHABLE_WAIT)
            }
            StoreError::Storage { .. }
            | StoreError::Unwritable { .. }
            | StoreError::Replaced { .. }
            | StoreError::Refused { .. } => {
                tracing::error!(%error, "a request could not be served");
                Self::new(
                    Code::NotReady,
                    "The server cannot store anything at the moment. Its log says why. Try again later.",
                )
                .retry_after(STORAGE_WAIT)
            }
            StoreError::Delay(error) => Self::invalid(error.to_string()),
            StoreError::UnknownUser => Self::unauthenticated(
                "The account has changed or does not exist any more. Sign in again.",
            ),
            other => Self::internal(&other),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLong { .. } => Code::TooLarge,
            BodyError::Empty | BodyError::Nul | BodyError::IdempotencyKey => Code::Invalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SendError> for ApiError {
    fn from(error: SendError) -> Self {
        let said = error.to_string();
        match error {
            SendError::Body(error) => error.into(),
            SendError::KeyConflict => Self::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key was used for another body.",
            ),
            SendError::RateLimited { retry_after, .. } => {
                Self::new(Code::RateLimited, said).retry_after(retry_after)
            }
            SendError::TooManyWaiting => {
                Self::new(Code::TooManyWaiting, said).retry_after(WAITING_WAIT)
            }
            SendError::TooMuchStored { .. } => {
                Self::new(Code::TooMuchStored, said).retry_after(ROOM_WAIT)
            }
            SendError::NotKnown => Self::new(Code::NotReady, said).retry_after(UNREACHABLE_WAIT),
            SendError::Store(error) => error.into(),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Busy => Self::busy(),
            AccountError::Throttled { retry_after } => Self::new(
                Code::TooManyAttempts,
                "Too many failed sign-ins. Wait before the next one.",
            )
            .retry_after(retry_after),
            AccountError::TooManyTokens | AccountError::TokenDepth => {
                Self::new(Code::TooManyTokens, error.to_string())
            }
            AccountError::Ended => Self::unauthenticated("The session or the token has ended."),
            AccountError::Taken => Self::new(Code::UsernameTaken, "The username is taken."),
            AccountError::PasswordLength
            | AccountError::PasswordLooksLikeToken
            | AccountError::TokenName
            | AccountError::NoScope => Self::invalid(error.to_string()),
            AccountError::Store(error) => error.into(),
            AccountError::Hashing(_) => Self::internal(&error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = Response::builder()
            .status(status)
            .content_type(PROBLEM_JSON)
            .body(self.problem().to_json_string());
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: a 401 names a scheme.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        response
    }
}

/// At least one, and never less than the wait.
fn whole_seconds(wait: Duration) -> u64 {
    let up = u64::from(wait.subsec_nanos() > 0);
    (wait.as_secs() + up).max(1)
}

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        self.code.status()
    }

    fn as_response(&self) -> Response {
        self.clone().into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::from_millis(2001)), 3);
    }

    #[tokio::test]
    async fn an_internal_error_reveals_nothing() {
        let response = ApiError::internal(&std::io::Error::other("SELECT secret")).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().into_string().await.unwrap();
        assert!(!body.contains("SELECT"), "{body}");
    }

    #[test]
    fn a_disk_that_takes_nothing_is_the_servers_trouble_and_passes() {
        let reason = "database or disk is full".to_owned();
        let response = ApiError::from(StoreError::Storage { reason }).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.header("retry-after"), Some("10"));
    }

    #[test]
    fn a_full_store_is_busy_and_says_when_to_come_back() {
        for error in [StoreError::Busy, StoreError::TooSlow] {
            let response = ApiError::from(error).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.header("retry-after"), Some("1"));
        }
    }
}
