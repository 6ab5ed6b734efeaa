//! Sign-ins that failed, over HTTP and MQTT.

use herald_acl::Username;
use herald_store::{Store, StoreError};

use super::{AuditAction, Event};

/// A sign-in with this name that failed. The name is recorded only if it is an account's: what is nobody's may be a password
/// in the wrong field.
///
/// # Errors
///
/// A [`StoreError`] if the database cannot be read.
pub async fn failed_sign_in(store: &Store, name: &str) -> Result<Event, StoreError> {
    let event = Event::new(AuditAction::SignInFailed);
    let Ok(name) = Username::parse(name) else {
        return Ok(event);
    };
    Ok(match store.user_by_name(&name).await? {
        Some(_) => event.to(name),
        None => event,
    })
}
