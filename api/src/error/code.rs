//! The codes of problems, with the status and the meaning of each.

use poem::http::StatusCode;
use poem_openapi::{Enum, types::ToJSON as _};

/// Which codes an operation can return beyond those of its kind. A code is a type as well ([`codes`]), so that a signature
/// names them: see `Failure`.
pub(crate) trait Codes: Send + Sync + 'static {
    fn codes() -> Vec<Code>;
}

/// Defines [`Code`]. The doc comment of a code is what clients read about it.
macro_rules! codes {
    ($($(#[doc = $when:literal])+ $code:ident = $status:ident,)+) => {
        /// What went wrong. Clients may rely on these codes; they never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[oai(rename = "ProblemCode", rename_all = "snake_case")]
        pub(crate) enum Code {
            $($(#[doc = $when])+ $code,)+
        }

        impl Code {
            /// The HTTP status of the code.
            pub(crate) fn status(self) -> StatusCode {
                match self {
                    $(Self::$code => StatusCode::$status,)+
                }
            }

            /// When it is returned.
            pub(crate) fn when(self) -> &'static str {
                match self {
                    $(Self::$code => concat!($($when),+).trim(),)+
                }
            }
        }
    };
}

codes! {
    /// The request does not have the documented shape: a parameter or a field is missing, unknown, repeated, or of the
    /// wrong type. `detail` says which.
    BadRequest = BAD_REQUEST,
    /// Nobody is signed in: the session or the token is missing, unknown or expired.
    Unauthenticated = UNAUTHORIZED,
    /// The username or the password is wrong.
    InvalidCredentials = UNAUTHORIZED,
    /// The caller is no administrator.
    Forbidden = FORBIDDEN,
    /// The session cookie came without the session's `csrf_token` in `X-CSRF-Token`, or with another's.
    Csrf = FORBIDDEN,
    /// The token lacks a scope that this needs, or that it is to give to another token.
    InsufficientScope = FORBIDDEN,
    /// Administrators make the accounts (`auth.registration`).
    RegistrationClosed = FORBIDDEN,
    /// A page of a foreign origin sent the request.
    OriginNotAllowed = FORBIDDEN,
    /// There is no such thing, or it is another user's.
    NotFound = NOT_FOUND,
    /// The path has no such method. `Allow` names those that it has.
    MethodNotAllowed = METHOD_NOT_ALLOWED,
    /// The body took too long to arrive.
    RequestTimeout = REQUEST_TIMEOUT,
    /// Another account has the username.
    UsernameTaken = CONFLICT,
    /// Nobody could administer any more.
    LastAdministrator = CONFLICT,
    /// There are as many access rules as there can be: 1000.
    TooManyRules = CONFLICT,
    /// The user has as many tokens as one may have: 1000.
    TooManyTokens = CONFLICT,
    /// The `Idempotency-Key` was used for another body.
    IdempotencyKeyReused = CONFLICT,
    /// A worker has the message; or it has ended, and was to be cancelled (`status=queued`).
    NotQueued = CONFLICT,
    /// The message has not the `status` with which it was to be deleted.
    WrongStatus = CONFLICT,
    /// The message is not dead.
    NotDead = CONFLICT,
    /// The body, or the message in it, is longer than the server takes.
    TooLarge = PAYLOAD_TOO_LARGE,
    /// The body is not `application/json`.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE,
    /// The request has the right shape, and a value in it is not allowed. `detail` says which.
    Invalid = UNPROCESSABLE_ENTITY,
    /// Too many sign-ins failed: ten within five minutes of one address on one account, and fewer where very much is tried.
    TooManyAttempts = TOO_MANY_REQUESTS,
    /// The caller has sent too much within a short time.
    RateLimited = TOO_MANY_REQUESTS,
    /// As many of the user's messages wait as may (`limits.waiting_messages`).
    TooManyWaiting = TOO_MANY_REQUESTS,
    /// What is kept of the user takes as much room as it may (`limits.stored_bytes`). Deleting messages that have ended
    /// makes room, and so does time (`retention.days`).
    TooMuchStored = TOO_MANY_REQUESTS,
    /// The server failed. Its log says why.
    Internal = INTERNAL_SERVER_ERROR,
    /// The server has too much to do at the moment.
    Busy = SERVICE_UNAVAILABLE,
    /// The server cannot store anything at the moment. Its log says why.
    NotReady = SERVICE_UNAVAILABLE,
}

impl Code {
    /// The code as clients see it.
    pub(crate) fn name(self) -> String {
        let name = self.to_json();
        let name = name.as_ref().and_then(|name| name.as_str());
        name.unwrap_or_default().to_owned()
    }
}

macro_rules! types {
    ($($code:ident,)+) => {
        /// The codes that signatures name, as types.
        pub(crate) mod codes {
            $(
                pub(crate) struct $code;

                impl super::Codes for $code {
                    fn codes() -> Vec<super::Code> {
                        vec![super::Code::$code]
                    }
                }
            )+
        }
    };
}

types! {
    InvalidCredentials,
    InsufficientScope,
    RegistrationClosed,
    NotFound,
    UsernameTaken,
    LastAdministrator,
    TooManyRules,
    TooManyTokens,
    IdempotencyKeyReused,
    NotQueued,
    WrongStatus,
    NotDead,
    Invalid,
    TooManyAttempts,
    TooManyWaiting,
    TooMuchStored,
}

/// No codes but those of its kind.
impl Codes for () {
    fn codes() -> Vec<Code> {
        vec![]
    }
}

macro_rules! several {
    ($($code:ident),+) => {
        impl<$($code: Codes),+> Codes for ($($code,)+) {
            fn codes() -> Vec<Code> {
                [$($code::codes()),+].concat()
            }
        }
    };
}

several!(A, B);
several!(A, B, C);
several!(A, B, C, D);
