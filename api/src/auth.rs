//! Signing in and out, and what a browser needs to speak MQTT.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use herald_store::Scopes;
use poem::{Request, web::cookie::CookieJar};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    payload::Json,
    types::{Example, Password},
};

use crate::{
    error::{ApiError, Code},
    origin::{self, Origin},
    secret,
    session::{self, COOKIE, Caller},
    state::State,
    tags::Tag,
    text::{DateTime, Text},
    user::UserView,
};

/// How long a token for a browser's MQTT connection may be used to connect.
const MQTT_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

pub(crate) struct AuthApi(pub(crate) Arc<State>);

/// Who wants to sign in.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct Login {
    username: Text,
    password: Password,
}

impl Example for Login {
    fn example() -> Self {
        Self {
            username: Text("alice".into()),
            password: Password("correct horse battery staple".into()),
        }
    }
}

/// A new password, and the proof that its owner asks for it.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct NewPassword {
    /// The password until now.
    current: Password,
    /// 8 characters to 1024 bytes, not starting with `hrld_`.
    new: Password,
}

impl Example for NewPassword {
    fn example() -> Self {
        Self {
            current: Password("correct horse battery staple".into()),
            new: Password("another horse battery staple".into()),
        }
    }
}

/// Who is signed in.
#[derive(Object)]
#[oai(rename = "Session")]
struct SessionView {
    user: UserView,
    /// To be sent as `X-CSRF-Token` on unsafe methods. Null if a token authenticates the request: it needs none.
    csrf_token: Option<String>,
}

/// How to connect to the MQTT broker from a browser.
#[derive(Object)]
struct MqttAccess {
    /// The MQTT username.
    username: String,
    /// The MQTT password.
    token: String,
    /// Until when the token may be used to connect.
    expires_at: DateTime,
    /// Where to connect, with the WebSocket subprotocol `mqtt`.
    url: String,
    /// The topic to subscribe to.
    inbox: String,
}

#[derive(ApiResponse)]
enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(tag = "Tag::Auth")]
impl AuthApi {
    /// Sign in
    ///
    /// Sets the session cookie, and ends the session that the request came with. Ten failures of one address on one
    /// account within five minutes, or a hundred on all, are followed by a wait.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        request: &Request,
        cookies: &CookieJar,
        login: Json<Login>,
    ) -> Result<Json<SessionView>, ApiError> {
        let state = &self.0;
        let user = state
            .accounts
            .login(&login.username.0, &login.password, peer(request))
            .await?
            .ok_or_else(|| {
                ApiError::new(
                    Code::InvalidCredentials,
                    "The username or the password is wrong.",
                )
            })?;
        let session = session::start(&state.store, request, &user).await?;
        cookies.add(session.cookie);
        Ok(Json(SessionView {
            user: user.into(),
            csrf_token: Some(session.csrf_token),
        }))
    }

    /// Sign out
    ///
    /// Ends the session of the cookie. A token stays valid; DELETE /tokens/{id} revokes it.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller, cookies: &CookieJar) -> Result<Done, ApiError> {
        if let (Some(_), Some(cookie)) = (caller.session, cookies.get(COOKIE)) {
            let hash = secret::hash(cookie.value_str());
            self.0.store.delete_session(&hash).await?;
            cookies.add(session::forget());
        }
        Ok(Done::Done)
    }

    /// Who am I?
    ///
    /// The caller, and the CSRF token of the session.
    #[oai(path = "/auth/session", method = "get", operation_id = "session")]
    async fn session(&self, caller: Caller) -> Result<Json<SessionView>, ApiError> {
        Ok(Json(SessionView {
            user: caller.user.into(),
            csrf_token: caller.session.map(|session| session.csrf_token),
        }))
    }

    /// Change the own password
    ///
    /// Ends the user's other browser sessions, and within a second the MQTT sessions that were signed in by the old
    /// password. Tokens stay.
    #[oai(
        path = "/auth/password",
        method = "put",
        operation_id = "changePassword"
    )]
    async fn password(
        &self,
        caller: Caller,
        request: &Request,
        passwords: Json<NewPassword>,
    ) -> Result<Done, ApiError> {
        let keep = caller.session.as_ref();
        let changed = self
            .0
            .accounts
            .change_password(
                &caller.user.username,
                &passwords.current,
                &passwords.new,
                peer(request),
                keep.map(|session| session.secret_hash.as_str()),
            )
            .await?;
        if !changed {
            let detail = "The current password is wrong.";
            return Err(ApiError::new(Code::InvalidCredentials, detail));
        }
        tracing::info!(user = %caller.user.username, "a password was changed by its owner");
        Ok(Done::Done)
    }

    /// Get ready for MQTT
    ///
    /// A token that is good for connecting to the broker within an hour. Clients fetch a new one for a later
    /// connection.
    #[oai(path = "/auth/mqtt", method = "post", operation_id = "mqttAccess")]
    async fn mqtt(&self, caller: Caller, request: &Request) -> Result<Json<MqttAccess>, ApiError> {
        let state = &self.0;
        let url = mqtt_url(request, state)?;
        let scopes = Scopes {
            api: false,
            mqtt: true,
        };
        let issued = state
            .accounts
            .issue_token(
                &caller.user.id,
                "browser",
                scopes,
                Some(MQTT_TOKEN_LIFETIME),
            )
            .await?;
        let expires_at = issued
            .token
            .expires_at
            .ok_or_else(|| ApiError::internal(&std::io::Error::other("a token lost its expiry")))?;
        Ok(Json(MqttAccess {
            inbox: format!("users/{}/notifications", caller.user.username),
            username: caller.user.username.to_string(),
            token: issued.secret,
            expires_at: expires_at.into(),
            url,
        }))
    }
}

/// The address that sign-ins of this request count for.
fn peer(request: &Request) -> IpAddr {
    request
        .remote_addr()
        .as_socket_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

/// Behind a proxy that ends TLS only the page knows that it came over HTTPS.
fn mqtt_url(request: &Request, state: &State) -> Result<String, ApiError> {
    let options = &state.options;
    let tls = match origin::of(request, options.tls, &options.allowed_origins) {
        Origin::Trusted { tls } => tls,
        Origin::Absent | Origin::Foreign => options.tls,
    };
    let scheme = if tls { "wss" } else { "ws" };
    Ok(format!("{scheme}://{}/mqtt", origin::host(request)?))
}
