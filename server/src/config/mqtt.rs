//! The section `[mqtt]`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// The longest that a session may outlive its connection, in seconds: a year.
const MAX_SESSION_EXPIRY_S: u32 = 365 * 24 * 60 * 60;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mqtt {
    #[serde(with = "listen")]
    pub(crate) listen_tls: Option<SocketAddr>,
    #[serde(with = "listen")]
    pub(crate) listen_tcp: Option<SocketAddr>,
    pub(crate) allow_plain: bool,
    pub(crate) max_keep_alive_s: u16,
    pub(crate) max_session_expiry_s: u32,
}

impl Default for Mqtt {
    fn default() -> Self {
        let broker = herald_broker::Limits::default();
        Self {
            listen_tls: Some(([127, 0, 0, 1], 8883).into()),
            listen_tcp: Some(([127, 0, 0, 1], 1883).into()),
            allow_plain: false,
            max_keep_alive_s: broker.max_keep_alive_s,
            max_session_expiry_s: broker.max_session_expiry_s,
        }
    }
}

impl Mqtt {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let Some(tcp) = self.listen_tcp
            && !tcp.ip().is_loopback()
            && !self.allow_plain
        {
            return Err(ConfigError(format!(
                "mqtt.listen_tcp: {tcp} would carry passwords in the clear; use mqtt.listen_tls, or set mqtt.allow_plain = true"
            )));
        }
        if self.max_session_expiry_s > MAX_SESSION_EXPIRY_S {
            return Err(ConfigError(format!(
                "mqtt.max_session_expiry_s: at most {MAX_SESSION_EXPIRY_S}"
            )));
        }
        Ok(())
    }
}

/// An address, or an empty string for "off".
mod listen {
    use std::net::SocketAddr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        listen: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match listen {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let error = |_| D::Error::custom("it must be an address such as 127.0.0.1:1883");
        text.parse().map(Some).map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Mqtt)) -> String {
        let mut mqtt = Mqtt::default();
        change(&mut mqtt);
        mqtt.check().unwrap_err().to_string()
    }

    #[test]
    fn plain_mqtt_beyond_the_loopback_must_be_asked_for() {
        let everywhere = Some(([0, 0, 0, 0], 1883).into());
        let text = refused(|m| m.listen_tcp = everywhere);
        assert!(text.starts_with("mqtt.listen_tcp: "), "{text}");
        let mqtt = Mqtt {
            listen_tcp: everywhere,
            allow_plain: true,
            ..Mqtt::default()
        };
        mqtt.check().unwrap();
    }

    #[test]
    fn a_session_outlives_its_connection_by_a_year_at_most() {
        assert_eq!(
            refused(|m| m.max_session_expiry_s = u32::MAX),
            "mqtt.max_session_expiry_s: at most 31536000"
        );
    }
}
