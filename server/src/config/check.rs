//! What the types of the configuration cannot say.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use herald_store::{MAX_CURSORS, StoreOptions};
use poem::http::Uri;

use super::{Config, ConfigError, Processor, TlsMode};

/// The most messages that may wait for one session.
const MAX_QUEUED_MESSAGES: u64 = 1_000_000;

/// The longest that a session may outlive its connection, in seconds: a year.
const MAX_SESSION_EXPIRY_S: u64 = 365 * 24 * 60 * 60;

/// The longest that anything is kept, but for ever, in days: a hundred years.
const MAX_RETENTION_DAYS: u64 = 36_500;

/// How long a stop may wait for messages that are being processed, in milliseconds.
const STOP_MS: RangeInclusive<u64> = 0..=600_000;

/// Checks that `config` can be used together.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let error = |text: String| Err(ConfigError(text));
    if let Some(tcp) = config.mqtt.listen_tcp
        && !tcp.ip().is_loopback()
        && !config.mqtt.allow_plain
    {
        return error(format!(
            "mqtt.listen_tcp: {tcp} would carry passwords in the clear; use mqtt.listen_tls, or set mqtt.allow_plain = true"
        ));
    }
    match config.tls.mode {
        TlsMode::Auto => {}
        TlsMode::Off => {
            let http = config.http.listen;
            if beyond_loopback(&http) {
                return error(format!(
                    "tls.mode: off serves the loopback only, and {http} is beyond it"
                ));
            }
        }
        TlsMode::Files => {
            for (key, path) in [("tls.cert", &config.tls.cert), ("tls.key", &config.tls.key)] {
                if !path.is_file() {
                    return error(format!("{key}: there is no file '{}'", path.display()));
                }
            }
        }
    }
    config.log.check()?;
    config.database_file()?;
    if config.worker.concurrency == 0 {
        return error("worker.concurrency: at least 1, or nothing is ever processed".into());
    }
    if config.worker.lease_ms < 1000 {
        return error("worker.lease_ms: at least 1000".into());
    }
    if !STOP_MS.contains(&config.worker.stop_ms) {
        let (least, most) = (STOP_MS.start(), STOP_MS.end());
        return error(format!("worker.stop_ms: between {least} and {most}"));
    }
    if config.worker.timeout_ms == 0 {
        return error("worker.timeout_ms: at least 1".into());
    }
    if config.worker.max_attempts == 0 {
        return error("worker.max_attempts: at least 1, or nothing is ever processed".into());
    }
    if config.worker.processor == Processor::Webhook {
        config.webhook.options()?;
        let (exchange, attempt) = (config.webhook.timeout_ms, config.worker.timeout_ms);
        if exchange > attempt {
            return error(format!(
                "webhook.timeout_ms: {exchange} is more than worker.timeout_ms ({attempt}), which ends the attempt before"
            ));
        }
    }
    ranges(config)?;
    let origins = &config.http.allowed_origins;
    if let Some(other) = origins.iter().position(|o| !is_origin(o)) {
        return error(format!(
            "http.allowed_origins: number {} is not an origin such as https://app.example",
            other + 1
        ));
    }
    Ok(())
}

/// Whether this is a scheme, a host and perhaps a port, and nothing else (RFC 6454).
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    let host = match authority.port_u16() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    };
    ["http", "https"].contains(&scheme)
        && !host.contains('*')
        && text.eq_ignore_ascii_case(&format!("{scheme}://{host}"))
}

/// Checks that numbers are neither too small nor too large to make sense.
fn ranges(config: &Config) -> Result<(), ConfigError> {
    let (mqtt, limits) = (&config.mqtt, &config.limits);
    for (key, value, least) in [
        ("message_bytes", limits.message_bytes, 1),
        ("waiting_messages", limits.waiting_messages as usize, 1),
        ("packet_bytes", limits.packet_bytes as usize, 1024),
        ("sessions_per_user", limits.sessions_per_user, 1),
        (
            "subscriptions_per_session",
            limits.subscriptions_per_session,
            1,
        ),
        ("queued_messages", limits.queued_messages, 1),
        ("connections", limits.connections, 1),
        ("connections_per_address", limits.connections_per_address, 1),
        (
            "answer_bytes_per_user",
            limits.answer_bytes_per_user,
            64 * 1024,
        ),
        (
            "answer_bytes",
            limits.answer_bytes,
            limits.answer_bytes_per_user,
        ),
        ("body_bytes_per_user", limits.body_bytes_per_user, 64 * 1024),
        ("body_bytes", limits.body_bytes, limits.body_bytes_per_user),
        ("list_reads_per_user", limits.list_reads_per_user, 1),
        ("list_reads", limits.list_reads, limits.list_reads_per_user),
    ] {
        if value < least {
            return Err(ConfigError(format!("limits.{key}: at least {least}")));
        }
    }
    let least = StoreOptions::LEAST_NOTIFICATION_BYTES;
    if (1..least).contains(&limits.notification_bytes) {
        return Err(ConfigError(format!(
            "limits.notification_bytes: at least {least}, or 0 for any number"
        )));
    }
    if limits.queued_bytes < limits.packet_bytes as usize {
        return Err(ConfigError(format!(
            "limits.queued_bytes: at least {} (limits.packet_bytes), or the largest packet is always lost",
            limits.packet_bytes
        )));
    }
    let least = limits.queued_bytes.saturating_mul(2);
    if limits.session_bytes_per_user < least {
        return Err(ConfigError(format!(
            "limits.session_bytes_per_user: at least {least} (twice limits.queued_bytes)"
        )));
    }
    // More live sessions would push each other's cursors out.
    let most_sessions = MAX_CURSORS.unsigned_abs();
    if limits.sessions_per_user as u64 > most_sessions {
        return Err(ConfigError(format!(
            "limits.sessions_per_user: at most {most_sessions}, as a user's inbox remembers the places of so many client ids"
        )));
    }
    for (key, value, most) in [
        (
            "limits.queued_messages",
            limits.queued_messages as u64,
            MAX_QUEUED_MESSAGES,
        ),
        (
            "mqtt.max_session_expiry_s",
            mqtt.max_session_expiry_s.into(),
            MAX_SESSION_EXPIRY_S,
        ),
        (
            "retention.days",
            config.retention.days.into(),
            MAX_RETENTION_DAYS,
        ),
        (
            "retention.audit_days",
            config.retention.audit_days.into(),
            MAX_RETENTION_DAYS,
        ),
    ] {
        if value > most {
            return Err(ConfigError(format!("{key}: at most {most}")));
        }
    }
    Ok(())
}

fn beyond_loopback(address: &SocketAddr) -> bool {
    !address.ip().is_loopback()
}

impl Config {
    /// The first listener that can be reached from other machines.
    pub(crate) fn beyond_loopback(&self) -> Option<SocketAddr> {
        [
            Some(self.http.listen),
            self.listen_tls(),
            self.mqtt.listen_tcp,
        ]
        .into_iter()
        .flatten()
        .find(beyond_loopback)
    }

    /// How long a claim of the worker holds.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.worker.lease_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        check(&config).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_valid() {
        check(&Config::default()).unwrap();
    }

    #[test]
    fn plain_mqtt_beyond_the_loopback_must_be_asked_for() {
        let everywhere = Some(([0, 0, 0, 0], 1883).into());
        let text = refused(|c| c.mqtt.listen_tcp = everywhere);
        assert!(text.starts_with("mqtt.listen_tcp: "), "{text}");
        let mut config = Config::default();
        config.mqtt.listen_tcp = everywhere;
        config.mqtt.allow_plain = true;
        check(&config).unwrap();
    }

    #[test]
    fn without_tls_only_the_loopback_is_served() {
        let text = refused(|c| {
            c.tls.mode = TlsMode::Off;
            c.http.listen = ([0, 0, 0, 0], 8443).into();
        });
        assert!(text.starts_with("tls.mode: "), "{text}");
    }

    #[test]
    fn a_number_out_of_its_range_is_named_with_the_range() {
        let cases = [
            (
                refused(|c| c.limits.message_bytes = 0),
                "limits.message_bytes: at least 1",
            ),
            (
                refused(|c| c.limits.notification_bytes = 1023),
                "limits.notification_bytes: at least 1024, or 0 for any number",
            ),
            (
                refused(|c| c.limits.waiting_messages = 0),
                "limits.waiting_messages: at least 1",
            ),
            (
                refused(|c| c.limits.queued_messages = 0),
                "limits.queued_messages: at least 1",
            ),
            (
                refused(|c| c.limits.queued_messages = 1_000_001),
                "limits.queued_messages: at most 1000000",
            ),
            (
                refused(|c| c.limits.connections = 0),
                "limits.connections: at least 1",
            ),
            (
                refused(|c| c.limits.connections_per_address = 0),
                "limits.connections_per_address: at least 1",
            ),
            (
                refused(|c| c.mqtt.max_session_expiry_s = u32::MAX),
                "mqtt.max_session_expiry_s: at most 31536000",
            ),
            (
                refused(|c| c.retention.days = 36_501),
                "retention.days: at most 36500",
            ),
            (
                refused(|c| c.retention.audit_days = 36_501),
                "retention.audit_days: at most 36500",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(error, expected);
        }
        let sessions = refused(|c| c.limits.session_bytes_per_user = 2 * 1024 * 1024 - 1);
        assert_eq!(
            sessions,
            "limits.session_bytes_per_user: at least 2097152 (twice limits.queued_bytes)"
        );
        let queue = refused(|c| c.limits.packet_bytes = 1024 * 1024 + 1);
        assert!(
            queue.starts_with("limits.queued_bytes: at least 1048577 "),
            "{queue}"
        );
    }

    #[test]
    fn an_exchange_with_the_webhook_ends_before_the_attempt_does() {
        let webhook = |config: &mut Config| {
            config.worker.processor = Processor::Webhook;
            config.webhook.url.0 = "https://service.example/".into();
            config.webhook.secret.0 = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
            config.worker.timeout_ms = 5000;
            config.webhook.timeout_ms = 5001;
        };
        let text = refused(webhook);
        assert!(text.starts_with("webhook.timeout_ms: 5001 "), "{text}");
        assert!(text.contains("worker.timeout_ms (5000)"), "{text}");
        let mut config = Config::default();
        webhook(&mut config);
        config.webhook.timeout_ms = 5000;
        check(&config).unwrap();
        // Without a webhook, its keys do not matter.
        config.webhook.timeout_ms = 5001;
        config.worker.processor = Processor::Echo;
        check(&config).unwrap();
    }

    #[test]
    fn a_user_has_no_more_sessions_than_the_inbox_has_cursors() {
        let text = refused(|c| c.limits.sessions_per_user = 65);
        assert!(
            text.starts_with("limits.sessions_per_user: at most 64, "),
            "{text}"
        );
        let mut config = Config::default();
        config.limits.sessions_per_user = 64;
        check(&config).unwrap();
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_named() {
        assert!(refused(|c| c.tls.mode = TlsMode::Files).starts_with("tls.cert: "));
        assert!(refused(|c| c.worker.concurrency = 0).starts_with("worker.concurrency: "));
        assert!(refused(|c| c.worker.timeout_ms = 0).starts_with("worker.timeout_ms: "));
        assert!(refused(|c| c.worker.max_attempts = 0).starts_with("worker.max_attempts: "));
        assert!(refused(|c| c.database.url = "postgres://x".into()).starts_with("database.url: "));
        for other in [
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example?a",
            "https://*.example",
            "https://user@app.example",
            "https://app.example:99999",
            "https://app.example:",
            "mqtt://app.example",
            "null",
            "*",
        ] {
            let error = refused(|c| c.http.allowed_origins = vec![other.into()]);
            assert!(error.starts_with("http.allowed_origins: "), "{other}");
        }
        let mut config = Config::default();
        let origins = [
            "https://app.example",
            "http://[::1]:8080",
            "https://App.example:444",
        ];
        config.http.allowed_origins = origins.map(String::from).into();
        check(&config).unwrap();
    }
}
