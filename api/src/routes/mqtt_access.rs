//! What a browser needs to speak MQTT.

use std::{sync::Arc, time::Duration};

use herald_acl::topics;
use herald_store::{Scopes, Store, TokenOrigin};
use poem::Request;
use poem_openapi::{Object, OpenApi, payload::Json};

use crate::{
    accounts::{Accounts, TokenRequest},
    error::{
        ApiError, Code, Failure,
        codes::{InsufficientScope, TooManyTokens},
    },
    fields::{DateTime, Epoch, Name, Secret, example::example},
    limits::requests::Requests,
    middleware::{
        caller::{Caller, Credential},
        origin::{self, Origin, Origins},
    },
    routes::tags::Tag,
};

/// How long a token for a browser's MQTT connection may be used to connect.
const MQTT_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

pub(crate) struct MqttAccessApi {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) origins: Arc<Origins>,
}

/// How to connect to the MQTT broker from a browser.
#[derive(Object)]
#[oai(example)]
struct MqttAccess {
    /// The MQTT username.
    username: Name,
    /// The MQTT password.
    token: Secret,
    /// Until when the token may be used to connect.
    expires_at: DateTime,
    /// Where to connect, with the WebSocket subprotocol `mqtt`.
    url: String,
    /// The topic to subscribe to.
    inbox: String,
    /// The topic that tells what becomes of messages before their notification: while the client is there, and only if it
    /// subscribes to exactly this.
    progress: String,
    /// The epoch that the inbox is in: numbers are comparable within one only.
    epoch: Epoch,
}

example!(MqttAccess {
    username,
    token,
    expires_at: DateTime("2026-12-22T10:00:00.000Z".into()),
    url: "wss://localhost:8443/mqtt".into(),
    inbox: "users/alice/notifications".into(),
    progress: "users/alice/progress".into(),
    epoch,
});

#[OpenApi(tag = "Tag::Auth")]
impl MqttAccessApi {
    /// Get ready for MQTT
    ///
    /// A token that is good for connecting to the broker within an hour. Clients fetch a new one for a later
    /// connection. It ends with the session, or with the token that asked for it, which needs the scope `mqtt`.
    #[oai(path = "/auth/mqtt", method = "post", operation_id = "mqttAccess")]
    async fn mqtt(
        &self,
        caller: Caller,
        request: &Request,
    ) -> Result<Json<MqttAccess>, Failure<(InsufficientScope, TooManyTokens)>> {
        self.requests.count_credential(&caller.user.id)?;
        let url = mqtt_url(request, &self.origins)?;
        let (origin, not_after) = match &caller.credential {
            Credential::Session(session) => (
                TokenOrigin::Session(session.id.clone()),
                Some(session.expires_at),
            ),
            Credential::Token(token) if !token.scopes.mqtt => {
                return Err(ApiError::new(
                    Code::InsufficientScope,
                    "The token is not for MQTT: it lacks the scope mqtt.",
                )
                .into());
            }
            Credential::Token(token) => (TokenOrigin::Token(token.id.clone()), token.expires_at),
        };
        let request = TokenRequest {
            name: "browser",
            scopes: Scopes {
                api: false,
                mqtt: true,
            },
            ttl: Some(MQTT_TOKEN_LIFETIME),
            not_after,
            origin,
        };
        let issued = self.accounts.issue_token(&caller.user.id, request).await?;
        let expires_at = issued
            .token
            .expires_at
            .ok_or_else(|| ApiError::internal(&std::io::Error::other("a token lost its expiry")))?;
        Ok(Json(MqttAccess {
            inbox: topics::inbox(&caller.user.username).to_string(),
            progress: topics::progress(&caller.user.username).to_string(),
            epoch: Epoch(self.store.epoch().to_string()),
            username: Name::of(&caller.user.username),
            token: Secret(issued.secret),
            expires_at: expires_at.into(),
            url,
        }))
    }
}

/// Behind a proxy that ends TLS only the page knows that it came over HTTPS.
fn mqtt_url(request: &Request, origins: &Origins) -> Result<String, ApiError> {
    let tls = match origins.of(request) {
        Origin::Trusted { tls } => tls,
        Origin::Absent | Origin::Foreign => origins.tls(),
    };
    let scheme = if tls { "wss" } else { "ws" };
    Ok(format!("{scheme}://{}/mqtt", origin::host(request)?))
}
