//! Which problems each operation can return, for the OpenAPI document.

use crate::error::Code;

/// What of an operation decides how it can fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Its callers are signed in.
    pub(crate) signed_in: bool,
    /// It is for administrators.
    pub(crate) admin: bool,
    /// Its method may change something (RFC 9110, section 9.2.1).
    pub(crate) changes: bool,
    /// It takes a body.
    pub(crate) body: bool,
}

/// The problems that any operation of this kind can return.
pub(crate) fn of_kind(kind: Kind) -> Vec<Code> {
    let mut codes = vec![
        Code::BadRequest,
        // Also for a body that no operation needs.
        Code::RequestTimeout,
        Code::TooLarge,
        Code::RateLimited,
        Code::Internal,
        Code::Busy,
        Code::NotReady,
    ];
    if kind.signed_in {
        codes.extend([Code::Unauthenticated, Code::Csrf]);
    }
    if kind.changes {
        codes.push(Code::OriginNotAllowed);
    }
    if kind.admin {
        codes.push(Code::Forbidden);
    }
    if kind.body {
        codes.push(Code::UnsupportedMediaType);
    }
    codes
}

/// The problems beyond those, by operation. An operation without a row fails a test.
const SPECIFIC: &[(&str, &[Code])] = &[
    ("login", &[Code::InvalidCredentials, Code::TooManyAttempts]),
    ("logout", &[]),
    ("getRegistration", &[]),
    (
        "register",
        &[Code::RegistrationClosed, Code::UsernameTaken, Code::Invalid],
    ),
    ("session", &[]),
    (
        "changePassword",
        &[
            Code::InvalidCredentials,
            Code::Invalid,
            Code::TooManyAttempts,
        ],
    ),
    (
        "mqttAccess",
        &[Code::InsufficientScope, Code::TooManyTokens],
    ),
    ("listSessions", &[]),
    ("endSession", &[Code::NotFound]),
    ("listTokens", &[]),
    (
        "createToken",
        &[Code::InsufficientScope, Code::TooManyTokens, Code::Invalid],
    ),
    ("revokeToken", &[Code::NotFound]),
    (
        "sendMessage",
        &[
            Code::IdempotencyKeyReused,
            Code::Invalid,
            Code::TooManyWaiting,
            Code::TooMuchStored,
        ],
    ),
    ("listMessages", &[]),
    ("getMessage", &[Code::NotFound]),
    (
        "deleteMessage",
        &[Code::NotFound, Code::NotQueued, Code::WrongStatus],
    ),
    ("listNotifications", &[]),
    ("acknowledge", &[Code::NotFound]),
    ("getQueue", &[]),
    ("getQueueHistory", &[]),
    ("pauseQueue", &[]),
    ("resumeQueue", &[]),
    ("listAllMessages", &[Code::NotFound, Code::Invalid]),
    ("retryDeadMessages", &[Code::NotFound, Code::Invalid]),
    ("retryMessage", &[Code::NotFound, Code::NotDead]),
    ("getDelay", &[]),
    ("setDelay", &[Code::Invalid]),
    ("listUserDelays", &[Code::Invalid]),
    ("getUserDelay", &[Code::NotFound]),
    ("setUserDelay", &[Code::NotFound, Code::Invalid]),
    ("deleteUserDelay", &[Code::NotFound]),
    ("listUsers", &[Code::Invalid]),
    ("createUser", &[Code::UsernameTaken, Code::Invalid]),
    ("getUser", &[Code::NotFound]),
    (
        "changeUser",
        &[Code::NotFound, Code::LastAdministrator, Code::Invalid],
    ),
    ("deleteUser", &[Code::NotFound, Code::LastAdministrator]),
    ("listRules", &[]),
    ("createRule", &[Code::TooManyRules, Code::Invalid]),
    ("getRule", &[Code::NotFound]),
    ("replaceRule", &[Code::NotFound, Code::Invalid]),
    ("deleteRule", &[Code::NotFound]),
    ("checkAccess", &[Code::NotFound, Code::Invalid]),
    ("listAudit", &[Code::Invalid]),
    ("listConnections", &[Code::Invalid]),
    ("endConnection", &[Code::NotFound]),
];

/// The problems of the operation with this id beyond those [`of_kind`].
pub(crate) fn specific(operation: &str) -> &'static [Code] {
    SPECIFIC
        .iter()
        .find(|(id, _)| *id == operation)
        .map_or(&[], |(_, codes)| codes)
}

/// When a code is returned.
pub(crate) fn when(code: Code) -> &'static str {
    match code {
        Code::BadRequest => {
            "The request does not have the documented shape: a parameter or a field is missing, unknown, repeated, or \
             of the wrong type. `detail` says which."
        }
        Code::Unauthenticated => {
            "Nobody is signed in: the session or the token is missing, unknown or expired."
        }
        Code::InvalidCredentials => "The username or the password is wrong.",
        Code::Forbidden => "The caller is no administrator.",
        Code::Csrf => {
            "The session cookie came without the session's `csrf_token` in `X-CSRF-Token`, or with another's."
        }
        Code::InsufficientScope => {
            "The token lacks a scope that this needs, or that it is to give to another token."
        }
        Code::RegistrationClosed => "Administrators make the accounts (`auth.registration`).",
        Code::OriginNotAllowed => "A page of a foreign origin sent the request.",
        Code::NotFound => "There is no such thing, or it is another user's.",
        Code::MethodNotAllowed => "The path has no such method. `Allow` names those that it has.",
        Code::RequestTimeout => "The body took too long to arrive.",
        Code::UsernameTaken => "Another account has the username.",
        Code::LastAdministrator => "Nobody could administer any more.",
        Code::TooManyRules => "There are as many access rules as there can be: 1000.",
        Code::TooManyTokens => "The user has as many tokens as one may have: 1000.",
        Code::IdempotencyKeyReused => "The `Idempotency-Key` was used for another body.",
        Code::NotQueued => {
            "A worker has the message; or it has ended, and was to be cancelled (`status=queued`)."
        }
        Code::WrongStatus => "The message has not the `status` with which it was to be deleted.",
        Code::NotDead => "The message is not dead.",
        Code::TooLarge => "The body, or the message in it, is longer than the server takes.",
        Code::UnsupportedMediaType => "The body is not `application/json`.",
        Code::Invalid => {
            "The request has the right shape, and a value in it is not allowed. `detail` says which."
        }
        Code::TooManyAttempts => {
            "Too many sign-ins failed: ten within five minutes of one address on one account, and fewer where very \
             much is tried."
        }
        Code::RateLimited => "The caller has sent too much within a short time.",
        Code::TooManyWaiting => {
            "As many of the user's messages wait as may (`limits.waiting_messages`)."
        }
        Code::TooMuchStored => {
            "What is kept of the user takes as much room as it may (`limits.stored_bytes`). Deleting messages that have \
             ended makes room, and so does time (`retention.days`)."
        }
        Code::Internal => "The server failed. Its log says why.",
        Code::Busy => "The server has too much to do at the moment.",
        Code::NotReady => "The server cannot store anything at the moment. Its log says why.",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use poem_openapi::OpenApi as _;

    use super::*;

    #[test]
    fn each_operation_says_how_it_fails_and_nothing_else_does() {
        let operations: BTreeSet<_> = crate::Operations::meta()
            .iter()
            .flat_map(|api| &api.paths)
            .flat_map(|path| &path.operations)
            .map(|operation| operation.operation_id.expect("an operation id"))
            .collect();
        let rows: Vec<_> = SPECIFIC.iter().map(|(operation, _)| *operation).collect();
        assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), operations);
        assert_eq!(rows.len(), operations.len(), "a row is repeated");
    }
}
