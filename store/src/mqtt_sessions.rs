//! Sessions of MQTT clients, as the servers that share a database know of each other's: which process has which.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::dialect::Dialect;
use crate::{ProcessId, StoreError, Timestamp, UserId};

/// What a session is known by: the same client id of another user is another session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// Whose it is.
    pub user: UserId,
    /// What the client calls itself.
    pub client_id: Arc<str>,
}

/// A session and its connection, or its last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttSession {
    /// What it is known by.
    pub key: SessionKey,
    /// What administrators know it by.
    pub id: String,
    /// The token that the client signed in with; `None`: the password.
    pub token_id: Option<String>,
    /// Where the connection comes from; `None`: there is none.
    pub peer: Option<String>,
    /// What carries it.
    pub transport: String,
    /// The version that the client speaks.
    pub protocol: String,
    /// When the connection began.
    pub connected_at: Timestamp,
    /// In seconds; 0 for none.
    pub keep_alive_s: u16,
}

/// A takeover: from its commit on, this process has the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeOver {
    /// As it is from then on, with a connection.
    pub session: MqttSession,
    /// Greater than that of each takeover that this process has asked for before.
    pub number: i64,
    /// Whether the client begins anew: then what another process has of the session ends as a session does, else as one that goes
    /// on.
    pub clean: bool,
    /// How many sessions the user may have in all.
    pub limit: usize,
    /// How many the user has in this process under other client ids.
    pub here: usize,
    /// Whether one of those has no connection, and makes room for this one.
    pub idle_here: bool,
    /// What is to be published for the client once it has gone, if it does not say good bye.
    pub will: Option<MqttWill>,
}

/// What is to be published for a client that has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttWill {
    /// How long the client may be gone before.
    pub delay: Duration,
    /// The message, in a form of whoever publishes it.
    pub text: String,
}

/// What came of a [takeover](TakeOver).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenOver {
    /// This process has the session.
    Done(Ownership),
    /// Nothing was written: the user has as many sessions as allowed, all of them with connections.
    TooMany,
    /// Nothing was written: others hold this process to be gone.
    CutOff,
}

/// What a process has to know of a session that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The number of the first takeover since another process had the session: what this one has of it from before is not the
    /// session any more.
    pub first_number: i64,
    /// How many sessions the user has in other processes.
    pub elsewhere: usize,
    /// Which processes have to end this session, or one that makes room for it.
    pub tell: Vec<ProcessId>,
    /// Whether one of them may still have this session.
    pub is_awaited: bool,
}

/// Why a process has to end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The client has connected to another process, and goes on there.
    TakenOver,
    /// The client has connected to another process, and begins anew there.
    BeganAnew,
    /// It makes room for another session of its user.
    MadeRoom,
    /// An administrator ended it.
    Kicked,
}

/// An order to end a session, up to one of its takeovers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// Which session.
    pub key: SessionKey,
    /// The name of its user; `None` if there is no such user any more.
    pub username: Option<String>,
    /// What was taken over later is not meant.
    pub number: i64,
    /// Why.
    pub reason: EndReason,
}

/// A session that a process has let go of: what was taken over later is not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Which session.
    pub key: SessionKey,
    /// Up to which of its takeovers.
    pub number: i64,
}

/// A session that a process has, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSession {
    /// Which session.
    pub key: SessionKey,
    /// See [`Ownership::first_number`].
    pub first_number: i64,
}

/// 1 if the process of a row of `table` is there, else 0.
pub(crate) fn is_live(dialect: Dialect, table: &str) -> String {
    format!(
        "CASE WHEN EXISTS (SELECT 1 FROM nodes n WHERE n.process = {table}.process AND n.lease_until > {})
            THEN CAST(1 AS {integer}) ELSE CAST(0 AS {integer}) END",
        dialect.now_millis(),
        integer = dialect.integer()
    )
}

pub(crate) fn key(row: &AnyRow) -> Result<SessionKey, StoreError> {
    Ok(SessionKey {
        user: UserId::from_string(row.try_get::<String, _>("user_id")?),
        client_id: row.try_get::<String, _>("client_id")?.into(),
    })
}

// === impl EndReason ===

impl EndReason {
    const ALL: [Self; 4] = [
        Self::TakenOver,
        Self::BeganAnew,
        Self::MadeRoom,
        Self::Kicked,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::BeganAnew => "began_anew",
            Self::MadeRoom => "made_room",
            Self::Kicked => "kicked",
        }
    }

    /// One that a later version has made ends the session, too.
    pub(crate) fn parse(text: &str) -> Self {
        let known = Self::ALL.into_iter().find(|one| one.as_str() == text);
        known.unwrap_or(Self::Kicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_as_it_was_written() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::parse(reason.as_str()), reason);
        }
        assert_eq!(EndReason::parse("of a later version"), EndReason::Kicked);
    }
}
