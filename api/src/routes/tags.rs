//! The chapters of the API's documentation.

use poem_openapi::Tags;

#[derive(Tags)]
#[oai(rename_all = "lowercase")]
pub(crate) enum Tag {
    /// Sign in and out, and get ready for MQTT.
    Auth,
    /// Access tokens for programs.
    Tokens,
    /// Send messages and see what became of them.
    Messages,
    /// The inbox without MQTT.
    Notifications,
    /// For administrators: accounts, the queue, and how long messages wait.
    Admin,
    /// For administrators: who may publish and subscribe to what.
    Access,
}
