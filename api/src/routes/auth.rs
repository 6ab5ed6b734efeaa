//! Signing in and out, and what a browser needs to speak MQTT.

use std::{sync::Arc, time::Duration};

use herald_acl::{Role, topics};
use herald_store::{Scopes, Store, Timestamp, TokenOrigin, User};
use poem::{Request, web::cookie::CookieJar};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    payload::Json,
    types::{Example, Password},
};

use crate::{
    accounts::{AccountError, Accounts, TokenRequest, device::Devices},
    audit::{Audit, AuditAction, failed_sign_in},
    description::{
        tags::Tag,
        text::{DateTime, Text},
    },
    error::{ApiError, Code},
    limits::requests::Requests,
    middleware::{
        caller::{Caller, Credential},
        origin::{self, Origin, Origins},
        requester::Requester,
        session::{self},
    },
    routes::user::{UserView, username},
};

/// How long a token for a browser's MQTT connection may be used to connect.
const MQTT_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

pub(crate) struct AuthApi {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) origins: Arc<Origins>,
    pub(crate) registration: bool,
}

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
    /// Whether the account `admin` still has the password `admin`, which everyone knows. Only administrators are told; for
    /// others it is false.
    default_password: bool,
    usage: Usage,
}

/// How much is kept of a user.
#[derive(Object)]
struct Usage {
    /// The bytes of messages, results and errors, and a fixed number for each message, notification and attempt that failed.
    stored_bytes: u64,
    /// What it may come to: sends beyond it are refused. Null if there is no limit.
    stored_bytes_limit: Option<u64>,
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
    /// The topic that tells what becomes of messages before their notification: while the client is there, and only if it
    /// subscribes to exactly this.
    progress: String,
    /// The epoch that the inbox is in: numbers are comparable within one only.
    epoch: String,
}

/// The account to make for oneself.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct Registration {
    /// `[a-z0-9][a-z0-9._-]{0,63}`; it never changes.
    username: Text,
    /// 8 characters to 1024 bytes, not starting with `hrld_`.
    password: Password,
}

impl Example for Registration {
    fn example() -> Self {
        Self {
            username: Text("alice".into()),
            password: Password("correct horse battery staple".into()),
        }
    }
}

/// Whether accounts are made by those who want one.
#[derive(Object)]
#[oai(rename = "RegistrationState")]
struct RegistrationView {
    /// Whether anybody may make an account for themselves, by POST /auth/register.
    open: bool,
}

#[derive(ApiResponse)]
enum Registered {
    /// The account was made. Sign in with it.
    #[oai(status = 201)]
    Registered(Json<UserView>),
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
    /// account within five minutes are followed by a wait; fewer, where very much is tried. A second cookie gives later
    /// sign-ins of the account from the same browser a count of their own; it opens nothing.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        request: &Request,
        cookies: &CookieJar,
        login: Json<Login>,
    ) -> Result<Json<SessionView>, ApiError> {
        let requester = Requester::of(request);
        let (name, password) = (&login.username.0, &login.password);
        let devices = Devices::of(request);
        let address = requester.address;
        let login = self.accounts.login_with(name, password, address, &devices);
        let user = self
            .told(&requester, name, login.await)
            .await?
            .ok_or_else(|| {
                ApiError::new(
                    Code::InvalidCredentials,
                    "The username or the password is wrong.",
                )
            })?;
        self.requests.count_credential(&user.id)?;
        let session = session::start(&self.store, request, &user).await?;
        cookies.add(session.cookie);
        cookies.add(devices.cookie(&user, Timestamp::now()));
        Ok(Json(self.view(user, Some(session.csrf_token)).await?))
    }

    /// Sign out
    ///
    /// Ends the session of the cookie. A token stays valid; DELETE /tokens/{id} revokes it.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller, cookies: &CookieJar) -> Result<Done, ApiError> {
        if let Some(session) = caller.session() {
            let event = caller.event(AuditAction::SignOut);
            let store = self.store.audited(event.entry());
            let now = Timestamp::now();
            store.end_session(&caller.user.id, &session.id, now).await?;
            cookies.add(session::forget());
        }
        Ok(Done::Done)
    }

    /// Ask whether one may register
    ///
    /// Whether POST /auth/register makes accounts (`auth.registration`); a page for signing in asks.
    #[oai(
        path = "/auth/registration",
        method = "get",
        operation_id = "getRegistration"
    )]
    async fn registration(&self) -> Json<RegistrationView> {
        Json(RegistrationView {
            open: self.registration,
        })
    }

    /// Make an account for oneself
    ///
    /// If the server allows it (`auth.registration`). It is an ordinary user's.
    #[oai(path = "/auth/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        request: &Request,
        new: Json<Registration>,
    ) -> Result<Registered, ApiError> {
        if !self.registration {
            return Err(ApiError::new(
                Code::RegistrationClosed,
                "An administrator makes the accounts of this server.",
            ));
        }
        let name = username(&new.username.0)?;
        let requester = Requester::of(request);
        self.requests.count_registration(requester.address)?;
        let event = requester.event(AuditAction::UserRegistered);
        let accounts = self.accounts.audited(event.to(&name).entry());
        let user = accounts
            .create_user(name, &new.password, Role::User)
            .await?;
        tracing::info!(user = %user.username, "an account was registered");
        Ok(Registered::Registered(Json(user.into())))
    }

    /// Who am I?
    ///
    /// The caller, and the CSRF token of the session.
    #[oai(path = "/auth/session", method = "get", operation_id = "session")]
    async fn session(&self, caller: Caller) -> Result<Json<SessionView>, ApiError> {
        let csrf_token = caller.session().map(|session| session.csrf_token.clone());
        Ok(Json(self.view(caller.user, csrf_token).await?))
    }

    /// Change the own password
    ///
    /// Ends the user's other browser sessions, and within a second the MQTT sessions that were signed in by the old
    /// password, and no browser but this one is known to the account any more. Tokens stay.
    #[oai(
        path = "/auth/password",
        method = "put",
        operation_id = "changePassword"
    )]
    async fn password(
        &self,
        caller: Caller,
        request: &Request,
        cookies: &CookieJar,
        passwords: Json<NewPassword>,
    ) -> Result<Done, ApiError> {
        let address = caller.requester.address;
        let accounts = &self.accounts;
        let current = accounts.confirm(&caller.user, &passwords.current, address);
        let (current, name) = (current.await, caller.user.username.as_str());
        let current = self.told(&caller.requester, name, current).await?;
        let wrong = || ApiError::new(Code::InvalidCredentials, "The current password is wrong.");
        let user = current.ok_or_else(wrong)?;
        let keep = caller.session();
        let keep = keep.map(|session| session.secret_hash.as_str());
        let event = caller.event(AuditAction::PasswordChanged);
        let accounts = self.accounts.audited(event.entry());
        let changed = accounts
            .change_password(&user, &passwords.new, keep)
            .await?;
        let changed = changed.ok_or_else(wrong)?;
        if caller.session().is_some() {
            cookies.add(Devices::of(request).cookie(&changed, Timestamp::now()));
        }
        tracing::info!(user = %caller.user.username, "a password was changed by its owner");
        Ok(Done::Done)
    }

    /// Get ready for MQTT
    ///
    /// A token that is good for connecting to the broker within an hour. Clients fetch a new one for a later
    /// connection. It ends with the session, or with the token that asked for it, which needs the scope `mqtt`.
    #[oai(path = "/auth/mqtt", method = "post", operation_id = "mqttAccess")]
    async fn mqtt(&self, caller: Caller, request: &Request) -> Result<Json<MqttAccess>, ApiError> {
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
                ));
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
            epoch: self.store.epoch().to_string(),
            username: caller.user.username.to_string(),
            token: issued.secret,
            expires_at: expires_at.into(),
            url,
        }))
    }
}

impl AuthApi {
    async fn view(&self, user: User, csrf_token: Option<String>) -> Result<SessionView, ApiError> {
        let is_admin = user.role == Role::Admin;
        let default_password = is_admin && self.accounts.default_password_stands().await?;
        let stored = self.store.stored_bytes(&[&user.id]).await?;
        let usage = Usage {
            stored_bytes: stored.get(&user.id).copied().unwrap_or_default(),
            stored_bytes_limit: self.store.stored_bytes_limit(),
        };
        Ok(SessionView {
            usage,
            user: user.into(),
            csrf_token,
            default_password,
        })
    }

    /// What came of checking the password of the user with this name. That it was wrong is recorded.
    async fn told(
        &self,
        requester: &Requester,
        name: &str,
        checked: Result<Option<User>, AccountError>,
    ) -> Result<Option<User>, ApiError> {
        let why = match &checked {
            Ok(None) => "wrong",
            Err(AccountError::Throttled { .. }) => "too many tries",
            _ => return Ok(checked?),
        };
        let event = failed_sign_in(&self.store, name).await?.detail(why);
        self.audit.note(requester.asks(event));
        Ok(checked?)
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
