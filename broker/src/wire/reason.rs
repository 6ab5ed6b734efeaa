//! Reasons and codes as the session uses them, and as each version has them.

use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, PubackReasonCode, PubrecReasonCode,
    SubackReasonCode, SubackReturnCode, UnsubackReasonCode,
};

/// Why the server refuses or ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Wrong user name, password or token.
    BadCredentials,
    /// The will's topic is not the client's to publish to.
    NotAuthorized,
    /// Too many failed logins.
    Throttled,
    /// The client's rights have changed, and allow nothing of what it had.
    RightsEnded,
    /// The token that the client logged in with has expired.
    TokenExpired,
    /// The client id is empty where it may not be, or cannot be used.
    ClientIdNotValid,
    /// Enhanced authentication is not supported.
    BadAuthenticationMethod,
    /// The will's topic is malformed.
    TopicNameInvalid,
    /// The client is past a limit.
    QuotaExceeded,
    /// The same user connected with the same client id.
    TakenOver,
    /// An administrator ended the session.
    Kicked,
    /// The server is stopping.
    ShuttingDown,
    /// The server failed to do its part; the client should come back.
    Unavailable,
    /// The server is cut off from the others; the client should come back, here or to another one.
    CutOff,
    /// The server is being taken out: others take its clients.
    Moved,
    /// The client has more QoS 2 PUBLISHes in flight than it may.
    ReceiveMaximumExceeded,
    /// The client broke the protocol.
    ProtocolError,
}

impl Reason {
    /// How much of a client's session it ends: of two reasons, the one that leaves less counts.
    pub(crate) fn weight(self) -> u8 {
        match self {
            // The session, without its will.
            Self::NotAuthorized => 2,
            // The session.
            Self::RightsEnded | Self::ShuttingDown | Self::Kicked => 1,
            _ => 0,
        }
    }

    /// What the client is told besides the code; empty if that says all.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Moved => "this server is being taken out; connect to another one",
            _ => "",
        }
    }

    /// The CONNACK code of MQTT 5 (section 3.2.2.2). Bad credentials are 0x87, which does not say whether the name or the
    /// password was wrong.
    pub(super) fn connect_v5(self) -> ConnectReasonCode {
        match self {
            Self::BadCredentials | Self::NotAuthorized | Self::RightsEnded | Self::TokenExpired => {
                ConnectReasonCode::NotAuthorized
            }
            Self::Throttled => ConnectReasonCode::ConnectionRateExceeded,
            Self::ClientIdNotValid => ConnectReasonCode::ClientIdentifierNotValid,
            Self::BadAuthenticationMethod => ConnectReasonCode::BadAuthenticationMethod,
            Self::TopicNameInvalid => ConnectReasonCode::TopicNameInvalid,
            Self::QuotaExceeded => ConnectReasonCode::QuotaExceeded,
            Self::TakenOver => ConnectReasonCode::UnspecifiedError,
            Self::Kicked | Self::ShuttingDown | Self::Unavailable => {
                ConnectReasonCode::ServerUnavailable
            }
            Self::CutOff => ConnectReasonCode::ServerBusy,
            Self::Moved => ConnectReasonCode::UseAnotherServer,
            Self::ReceiveMaximumExceeded | Self::ProtocolError => ConnectReasonCode::ProtocolError,
        }
    }

    /// The CONNACK code of MQTT 3.1.1 (section 3.2.2.3), which has only five.
    pub(super) fn connect_v3(self) -> ConnectReturnCode {
        match self {
            Self::ClientIdNotValid => ConnectReturnCode::IdentifierRejected,
            Self::BadCredentials
            | Self::NotAuthorized
            | Self::RightsEnded
            | Self::TokenExpired
            | Self::BadAuthenticationMethod
            | Self::TopicNameInvalid
            | Self::ReceiveMaximumExceeded
            | Self::ProtocolError => ConnectReturnCode::NotAuthorized,
            Self::Throttled
            | Self::QuotaExceeded
            | Self::TakenOver
            | Self::Kicked
            | Self::ShuttingDown
            | Self::CutOff
            | Self::Moved
            | Self::Unavailable => ConnectReturnCode::ServerUnavailable,
        }
    }

    /// The DISCONNECT code of MQTT 5 (section 3.14.2.1).
    pub(super) fn disconnect(self) -> DisconnectReasonCode {
        match self {
            Self::BadCredentials | Self::NotAuthorized | Self::RightsEnded | Self::TokenExpired => {
                DisconnectReasonCode::NotAuthorized
            }
            Self::Throttled => DisconnectReasonCode::ConnectionRateExceeded,
            Self::TopicNameInvalid => DisconnectReasonCode::TopicNameInvalid,
            Self::QuotaExceeded => DisconnectReasonCode::QuotaExceeded,
            Self::TakenOver => DisconnectReasonCode::SessionTakenOver,
            Self::Kicked => DisconnectReasonCode::AdministrativeAction,
            Self::ShuttingDown => DisconnectReasonCode::ServerShuttingDown,
            Self::Unavailable => DisconnectReasonCode::UnspecifiedError,
            Self::CutOff => DisconnectReasonCode::ServerBusy,
            Self::Moved => DisconnectReasonCode::UseAnotherServer,
            Self::ReceiveMaximumExceeded => DisconnectReasonCode::ReceiveMaximumExceeded,
            Self::ClientIdNotValid | Self::BadAuthenticationMethod | Self::ProtocolError => {
                DisconnectReasonCode::ProtocolError
            }
        }
    }
}

/// The code of a PUBACK at QoS 1, and of a PUBREC at QoS 2 (MQTT 5 sections 3.4.2.1 and 3.5.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishCode {
    Success,
    NotAuthorized,
    TopicNameInvalid,
    QuotaExceeded,
    PayloadFormatInvalid,
    /// The server failed to do its part.
    Unspecified,
}

impl PublishCode {
    pub(super) fn puback(self) -> PubackReasonCode {
        match self {
            Self::Success => PubackReasonCode::Success,
            Self::NotAuthorized => PubackReasonCode::NotAuthorized,
            Self::TopicNameInvalid => PubackReasonCode::TopicNameInvalid,
            Self::QuotaExceeded => PubackReasonCode::QuotaExceeded,
            Self::PayloadFormatInvalid => PubackReasonCode::PayloadFormatInvalid,
            Self::Unspecified => PubackReasonCode::UnspecifiedError,
        }
    }

    pub(super) fn pubrec(self) -> PubrecReasonCode {
        match self {
            Self::Success => PubrecReasonCode::Success,
            Self::NotAuthorized => PubrecReasonCode::NotAuthorized,
            Self::TopicNameInvalid => PubrecReasonCode::TopicNameInvalid,
            Self::QuotaExceeded => PubrecReasonCode::QuotaExceeded,
            Self::PayloadFormatInvalid => PubrecReasonCode::PayloadFormatInvalid,
            Self::Unspecified => PubrecReasonCode::UnspecifiedError,
        }
    }
}

/// The code of a SUBACK for one filter (MQTT 5 section 3.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubackCode {
    /// At QoS 0.
    Granted0,
    /// At QoS 1.
    Granted1,
    /// At QoS 2.
    Granted2,
    NotAuthorized,
    TopicFilterInvalid,
    QuotaExceeded,
    SharedSubscriptionsNotSupported,
}

impl SubackCode {
    pub(super) fn v5(self) -> SubackReasonCode {
        match self {
            Self::Granted0 => SubackReasonCode::GrantedQos0,
            Self::Granted1 => SubackReasonCode::GrantedQos1,
            Self::Granted2 => SubackReasonCode::GrantedQos2,
            Self::NotAuthorized => SubackReasonCode::NotAuthorized,
            Self::TopicFilterInvalid => SubackReasonCode::TopicFilterInvalid,
            Self::QuotaExceeded => SubackReasonCode::QuotaExceeded,
            Self::SharedSubscriptionsNotSupported => {
                SubackReasonCode::SharedSubscriptionsNotSupported
            }
        }
    }

    pub(super) fn v3(self) -> SubackReturnCode {
        match self {
            Self::Granted0 => SubackReturnCode::SuccessMaximumQos0,
            Self::Granted1 => SubackReturnCode::SuccessMaximumQos1,
            Self::Granted2 => SubackReturnCode::SuccessMaximumQos2,
            _ => SubackReturnCode::Failure,
        }
    }
}

/// The code of an UNSUBACK for one filter (MQTT 5 section 3.11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsubackCode {
    Success,
    NoSubscriptionExisted,
    TopicFilterInvalid,
}

impl UnsubackCode {
    pub(super) fn v5(self) -> UnsubackReasonCode {
        match self {
            Self::Success => UnsubackReasonCode::Success,
            Self::NoSubscriptionExisted => UnsubackReasonCode::NoSubscriptionExisted,
            Self::TopicFilterInvalid => UnsubackReasonCode::TopicFilterInvalid,
        }
    }
}
