//! The two versions of the protocol, and how each says no.

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1.
    V311,
    /// 5.
    V5,
}

impl Version {
    /// For tests that hold for both.
    pub const BOTH: [Self; 2] = [Self::V311, Self::V5];

    /// The protocol level in CONNECT (section 3.1.2.2).
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    /// Whether there are reasons, properties, and a DISCONNECT from the server.
    #[must_use]
    pub fn is_v5(self) -> bool {
        self == Self::V5
    }

    /// CONNACK for a client that may not connect.
    #[must_use]
    pub fn connect_refused(self) -> u8 {
        match self {
            Self::V311 => 0x05,
            Self::V5 => 0x87,
        }
    }

    /// SUBACK for a filter that the client may not have.
    #[must_use]
    pub fn subscribe_refused(self) -> u8 {
        match self {
            Self::V311 => 0x80,
            Self::V5 => 0x87,
        }
    }

    /// PUBACK with the MQTT 5 reason `code`. In 3.1.1 it carries none: the message is acknowledged and dropped.
    #[must_use]
    pub fn puback(self, code: u8) -> u8 {
        match self {
            Self::V311 => 0,
            Self::V5 => code,
        }
    }
}
