//! What the audit records.

use poem_openapi::{Enum, types::ToJSON as _};
use serde_json::Value;

/// What was done, or tried. Clients may rely on these words; they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
pub enum AuditAction {
    /// Somebody signed in.
    #[oai(rename = "sign_in")]
    SignIn,
    /// Somebody tried to, or to change a password, and the name or the password was wrong, or there were too many tries.
    #[oai(rename = "sign_in.failed")]
    SignInFailed,
    /// A browser signed out.
    #[oai(rename = "sign_out")]
    SignOut,
    /// A user ended a browser's session.
    #[oai(rename = "session.ended")]
    SessionEnded,
    /// A user changed the own password.
    #[oai(rename = "password.changed")]
    PasswordChanged,
    /// Something was refused: by an access rule, because it is for administrators, or for lack of the CSRF token.
    #[oai(rename = "access.denied")]
    AccessDenied,
    /// Somebody made an account for themselves.
    #[oai(rename = "user.registered")]
    UserRegistered,
    /// An administrator made an account.
    #[oai(rename = "user.created")]
    UserCreated,
    /// An administrator changed an account.
    #[oai(rename = "user.changed")]
    UserChanged,
    /// An administrator deleted an account.
    #[oai(rename = "user.deleted")]
    UserDeleted,
    /// A token was made.
    #[oai(rename = "token.created")]
    TokenCreated,
    /// A token was revoked.
    #[oai(rename = "token.revoked")]
    TokenRevoked,
    /// An access rule was made.
    #[oai(rename = "rule.created")]
    RuleCreated,
    /// An access rule was replaced.
    #[oai(rename = "rule.replaced")]
    RuleReplaced,
    /// An access rule was deleted.
    #[oai(rename = "rule.deleted")]
    RuleDeleted,
    /// The delay of all was changed.
    #[oai(rename = "delay.changed")]
    DelayChanged,
    /// A user was given a delay of their own.
    #[oai(rename = "user_delay.changed")]
    UserDelayChanged,
    /// A user has the delay of all again.
    #[oai(rename = "user_delay.removed")]
    UserDelayRemoved,
    /// Processing was paused.
    #[oai(rename = "queue.paused")]
    QueuePaused,
    /// Processing goes on.
    #[oai(rename = "queue.resumed")]
    QueueResumed,
    /// A dead message was put back into the queue, or many that died; `detail` says whose then.
    #[oai(rename = "message.retried")]
    MessageRetried,
    /// An MQTT session was ended.
    #[oai(rename = "connection.ended")]
    ConnectionEnded,
    /// There was too much to tell of; `count` says how much was left out.
    #[oai(rename = "audit.dropped")]
    Dropped,
}

impl AuditAction {
    /// As it is written down.
    pub(crate) fn word(self) -> String {
        match self.to_json() {
            Some(Value::String(word)) => word,
            _ => unreachable!("an enum is written as text"),
        }
    }
}
