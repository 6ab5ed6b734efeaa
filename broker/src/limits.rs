//! What a client may use.

use std::time::Duration;

/// Bounds on what clients make the broker hold or do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest MQTT packet accepted, in bytes, fixed header included.
    pub packet_bytes: u32,
    /// Live sessions of one user.
    pub sessions_per_user: usize,
    /// Subscriptions of one session.
    pub subscriptions_per_session: usize,
    /// Shared messages waiting for one session, connected or not.
    pub queued_messages: usize,
    /// Bytes of shared messages waiting for one session.
    pub queued_bytes: usize,
    /// Bytes of messages that all sessions of a user hold together: shared ones that wait or are under way, what was read from
    /// the inbox, what sockets have not taken, and sends that are not answered. A quarter of it is for the inbox alone. Where
    /// there is no room, a session has one send at a time under way.
    pub session_bytes_per_user: usize,
    /// Bytes that a read from the inbox brings at most.
    pub inbox_read_bytes: usize,
    /// PUBLISHes a second that one session may send on average; 0 for any number.
    pub publishes_per_s: u32,
    /// Longest keep-alive, in seconds: a client of MQTT 5 that asks for more or for none gets this one. 0 for
    /// any.
    pub max_keep_alive_s: u16,
    /// How long a session may outlive its connection, in seconds.
    pub max_session_expiry_s: u32,
    /// A write that makes no progress for this long ends the connection.
    pub write_stall: Duration,
}

impl Limits {
    /// Filters of one SUBSCRIBE that are looked at. More than a session may have is of use only if some are refused.
    pub(crate) fn filters_per_subscribe(&self) -> usize {
        self.subscriptions_per_session.max(FILTERS_PER_SUBSCRIBE)
    }
}

/// See [`Limits::filters_per_subscribe`].
const FILTERS_PER_SUBSCRIBE: usize = 256;

impl Default for Limits {
    fn default() -> Self {
        Self {
            packet_bytes: 128 * 1024,
            sessions_per_user: 32,
            subscriptions_per_session: 64,
            queued_messages: 1000,
            queued_bytes: 1024 * 1024,
            session_bytes_per_user: 16 * 1024 * 1024,
            inbox_read_bytes: 1024 * 1024,
            publishes_per_s: 1000,
            max_keep_alive_s: 0,
            max_session_expiry_s: 7 * 24 * 3600,
            write_stall: Duration::from_secs(30),
        }
    }
}

/// Unacknowledged QoS 1 and 2 PUBLISH packets that one client may have under way, each direction (MQTT 5 section 3.1.2.11.3).
pub(crate) const RECEIVE_MAXIMUM: u16 = 32;

/// Largest CONNECT, in bytes: a will of 64 KiB, and as much as all else needs. The client has not logged in yet.
pub(crate) const CONNECT_BYTES: u32 = 80 * 1024;

/// Bytes waiting for a client's socket above which the session stops making more.
pub(crate) const OUTBOUND_HIGH_WATER: usize = 64 * 1024;

/// Topic aliases of one connection, each direction (MQTT 5 section 3.3.2.3.4).
pub(crate) const TOPIC_ALIASES: u16 = 16;

/// User properties of one message (MQTT 5 section 3.3.2.3.7).
pub(crate) const USER_PROPERTIES: usize = 64;

/// QoS 2 PUBLISHes of one session that wait for their PUBREL.
pub(crate) const UNRELEASED: usize = 1024;

/// Retained messages kept, and their bytes.
pub(crate) const RETAINED_MESSAGES: usize = 10_000;

/// Bytes of retained messages kept.
pub(crate) const RETAINED_BYTES: usize = 64 * 1024 * 1024;
