//! The section `[limits]`.

use herald_api::{ApiLimits, ApiOptions, SendLimits, Shares};
use herald_store::{MAX_CURSORS, StoreOptions};
use serde::{Deserialize, Serialize};

use super::{ConfigError, mqtt::Mqtt};
use crate::host::BATCH_BYTES;

/// The most messages that may wait for one session.
const MAX_QUEUED_MESSAGES: usize = 1_000_000;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) message_bytes: usize,
    pub(crate) notification_bytes: usize,
    pub(crate) requests_per_minute: u32,
    pub(crate) requests_per_minute_per_address: u32,
    pub(crate) sends_per_minute: u32,
    pub(crate) send_bytes_per_minute: u32,
    pub(crate) waiting_messages: u32,
    pub(crate) stored_bytes: u64,
    pub(crate) packet_bytes: u32,
    pub(crate) sessions_per_user: usize,
    pub(crate) subscriptions_per_session: usize,
    pub(crate) queued_messages: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) session_bytes_per_user: usize,
    pub(crate) publishes_per_s: u32,
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) answer_bytes_per_user: usize,
    pub(crate) answer_bytes_per_s: u32,
    pub(crate) body_bytes: usize,
    pub(crate) body_bytes_per_user: usize,
    pub(crate) list_reads: usize,
    pub(crate) list_reads_per_user: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let broker = herald_broker::Limits::default();
        let sends = SendLimits::default();
        let api = ApiLimits::default();
        Self {
            message_bytes: sends.message_bytes,
            notification_bytes: 0,
            requests_per_minute: ApiOptions::DEFAULT_REQUESTS_PER_MINUTE,
            requests_per_minute_per_address: ApiOptions::DEFAULT_REQUESTS_PER_MINUTE_PER_ADDRESS,
            sends_per_minute: sends.per_minute,
            send_bytes_per_minute: sends.bytes_per_minute,
            waiting_messages: StoreOptions::DEFAULT_WAITING_MESSAGES,
            stored_bytes: StoreOptions::DEFAULT_STORED_BYTES,
            packet_bytes: broker.packet_bytes,
            sessions_per_user: broker.sessions_per_user,
            subscriptions_per_session: broker.subscriptions_per_session,
            queued_messages: broker.queued_messages,
            queued_bytes: broker.queued_bytes,
            session_bytes_per_user: broker.session_bytes_per_user,
            publishes_per_s: broker.publishes_per_s,
            connections: 50_000,
            connections_per_address: 20_000,
            answer_bytes: api.answer_bytes.in_all,
            answer_bytes_per_user: api.answer_bytes.each,
            answer_bytes_per_s: 4096,
            body_bytes: api.body_bytes.in_all,
            body_bytes_per_user: api.body_bytes.each,
            list_reads: api.list_reads.in_all,
            list_reads_per_user: api.list_reads.each,
        }
    }
}

impl Limits {
    /// Checks that numbers are neither too small nor too large to make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let error = |text: String| Err(ConfigError(format!("limits.{text}")));
        for (key, value, least) in [
            ("message_bytes", self.message_bytes, 1),
            ("waiting_messages", self.waiting_messages as usize, 1),
            ("packet_bytes", self.packet_bytes as usize, 1024),
            ("sessions_per_user", self.sessions_per_user, 1),
            (
                "subscriptions_per_session",
                self.subscriptions_per_session,
                1,
            ),
            ("queued_messages", self.queued_messages, 1),
            ("connections", self.connections, 1),
            ("connections_per_address", self.connections_per_address, 1),
            (
                "answer_bytes_per_user",
                self.answer_bytes_per_user,
                64 * 1024,
            ),
            (
                "answer_bytes",
                self.answer_bytes,
                self.answer_bytes_per_user,
            ),
            ("body_bytes_per_user", self.body_bytes_per_user, 64 * 1024),
            ("body_bytes", self.body_bytes, self.body_bytes_per_user),
            ("list_reads_per_user", self.list_reads_per_user, 1),
            ("list_reads", self.list_reads, self.list_reads_per_user),
        ] {
            if value < least {
                return error(format!("{key}: at least {least}"));
            }
        }
        let least = StoreOptions::LEAST_NOTIFICATION_BYTES;
        if (1..least).contains(&self.notification_bytes) {
            return error(format!(
                "notification_bytes: at least {least}, or 0 for any number"
            ));
        }
        if self.queued_messages > MAX_QUEUED_MESSAGES {
            return error(format!("queued_messages: at most {MAX_QUEUED_MESSAGES}"));
        }
        if self.queued_bytes < self.packet_bytes as usize {
            return error(format!(
                "queued_bytes: at least {} (limits.packet_bytes), or the largest packet is always lost",
                self.packet_bytes
            ));
        }
        let least = self.queued_bytes.saturating_mul(2);
        if self.session_bytes_per_user < least {
            return error(format!(
                "session_bytes_per_user: at least {least} (twice limits.queued_bytes)"
            ));
        }
        // More live sessions would push each other's cursors out.
        let most_sessions = MAX_CURSORS.unsigned_abs();
        if self.sessions_per_user as u64 > most_sessions {
            return error(format!(
                "sessions_per_user: at most {most_sessions}, as a user's inbox remembers the cursors of so many client ids"
            ));
        }
        Ok(())
    }

    /// What users may send.
    pub(crate) fn sends(&self) -> SendLimits {
        SendLimits {
            message_bytes: self.message_bytes,
            per_minute: self.sends_per_minute,
            bytes_per_minute: self.send_bytes_per_minute,
        }
    }

    /// The largest notification, in bytes.
    pub(crate) fn largest_notification(&self) -> usize {
        match self.notification_bytes {
            0 => usize::MAX,
            bytes => bytes,
        }
    }

    /// What a read from an inbox brings at most, in bytes: one notification at least, in which the message and its result may be
    /// all control characters.
    fn inbox_read_bytes(&self) -> usize {
        let largest = self.message_bytes.saturating_mul(12);
        let largest = largest
            .saturating_add(1024)
            .min(self.largest_notification());
        largest.max(BATCH_BYTES)
    }

    /// What users can have at once over HTTP.
    pub(crate) fn api(&self) -> ApiLimits {
        let shares = |in_all, each| Shares { in_all, each };
        ApiLimits {
            answer_bytes: shares(self.answer_bytes, self.answer_bytes_per_user),
            body_bytes: shares(self.body_bytes, self.body_bytes_per_user),
            list_reads: shares(self.list_reads, self.list_reads_per_user),
        }
    }

    /// The broker's, with those of `mqtt`.
    pub(crate) fn broker(&self, mqtt: &Mqtt) -> herald_broker::Limits {
        herald_broker::Limits {
            packet_bytes: self.packet_bytes,
            sessions_per_user: self.sessions_per_user,
            subscriptions_per_session: self.subscriptions_per_session,
            queued_messages: self.queued_messages,
            queued_bytes: self.queued_bytes,
            session_bytes_per_user: self.session_bytes_per_user,
            inbox_read_bytes: self.inbox_read_bytes(),
            publishes_per_s: self.publishes_per_s,
            max_keep_alive_s: mqtt.max_keep_alive_s,
            max_session_expiry_s: mqtt.max_session_expiry_s,
            ..herald_broker::Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Limits)) -> String {
        let mut limits = Limits::default();
        change(&mut limits);
        limits.check().unwrap_err().to_string()
    }

    #[test]
    fn a_number_out_of_its_range_is_named_with_the_range() {
        for (error, expected) in [
            (
                refused(|l| l.message_bytes = 0),
                "limits.message_bytes: at least 1",
            ),
            (
                refused(|l| l.notification_bytes = 1023),
                "limits.notification_bytes: at least 1024, or 0 for any number",
            ),
            (
                refused(|l| l.waiting_messages = 0),
                "limits.waiting_messages: at least 1",
            ),
            (
                refused(|l| l.queued_messages = 0),
                "limits.queued_messages: at least 1",
            ),
            (
                refused(|l| l.queued_messages = 1_000_001),
                "limits.queued_messages: at most 1000000",
            ),
            (
                refused(|l| l.connections = 0),
                "limits.connections: at least 1",
            ),
            (
                refused(|l| l.connections_per_address = 0),
                "limits.connections_per_address: at least 1",
            ),
            (
                refused(|l| l.session_bytes_per_user = 2 * 1024 * 1024 - 1),
                "limits.session_bytes_per_user: at least 2097152 (twice limits.queued_bytes)",
            ),
        ] {
            assert_eq!(error, expected);
        }
        let queue = refused(|l| l.packet_bytes = 1024 * 1024 + 1);
        assert!(
            queue.starts_with("limits.queued_bytes: at least 1048577 "),
            "{queue}"
        );
    }

    #[test]
    fn a_user_has_no_more_sessions_than_the_inbox_has_cursors() {
        let text = refused(|l| l.sessions_per_user = 65);
        assert!(
            text.starts_with("limits.sessions_per_user: at most 64, "),
            "{text}"
        );
        let limits = Limits {
            sessions_per_user: 64,
            ..Limits::default()
        };
        limits.check().unwrap();
    }

    #[test]
    fn the_broker_has_every_limit_of_its_own() {
        let limits = Limits {
            packet_bytes: 2000,
            sessions_per_user: 2,
            subscriptions_per_session: 3,
            queued_messages: 4,
            queued_bytes: 5000,
            session_bytes_per_user: 10_000,
            notification_bytes: 300_000,
            publishes_per_s: 6,
            ..Limits::default()
        };
        limits.check().unwrap();
        let broker = limits.broker(&Mqtt {
            max_keep_alive_s: 7,
            max_session_expiry_s: 8,
            ..Mqtt::default()
        });
        assert_eq!(broker.packet_bytes, 2000);
        assert_eq!(broker.sessions_per_user, 2);
        assert_eq!(broker.subscriptions_per_session, 3);
        assert_eq!(broker.queued_messages, 4);
        assert_eq!(broker.queued_bytes, 5000);
        assert_eq!(broker.session_bytes_per_user, 10_000);
        assert_eq!(broker.inbox_read_bytes, 300_000);
        assert_eq!(broker.publishes_per_s, 6);
        assert_eq!(broker.max_keep_alive_s, 7);
        assert_eq!(broker.max_session_expiry_s, 8);
    }
}
