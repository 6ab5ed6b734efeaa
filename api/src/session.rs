//! Who sends a request: a browser session by its cookie, or a program by its token.

use std::time::Duration;

use herald_acl::Role;
use herald_store::{NewSession, Session, Timestamp, Token, User};
use poem::{
    Request, RequestBody, Result,
    http::header::AUTHORIZATION,
    web::cookie::{Cookie, SameSite},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use subtle::ConstantTimeEq;

use crate::{
    accounts::Scope,
    audit::{AuditAction, Event},
    error::{ApiError, Code},
    requester::{Requester, user_agent},
    secret,
    state::State,
    strict,
};

/// The `__Host-` prefix makes browsers insist on Secure, on Path=/ and on no Domain.
pub(crate) const COOKIE: &str = "__Host-herald";
/// Carries the session's CSRF token: needed on unsafe methods, and checked wherever it is sent.
pub(crate) const CSRF_HEADER: &str = "X-CSRF-Token";
/// How long a browser stays signed in, however much it is used. Without use it ends earlier: [`Session::MAX_IDLE`].
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How exactly it is known when a session was last used.
const LAST_USE: Duration = Duration::from_secs(5 * 60);

/// A session that has just begun.
pub(crate) struct Started {
    pub(crate) cookie: Cookie,
    pub(crate) csrf_token: String,
}

/// Begins a session of `user`, which is recorded. The session that the request may have come with ends.
pub(crate) async fn start(
    state: &State,
    request: &Request,
    user: &User,
) -> Result<Started, ApiError> {
    let now = Timestamp::now();
    if let Some(old) = request.cookie().get(COOKIE) {
        let hash = secret::hash(old.value_str());
        if let Some(old) = state.store.session(&hash, now).await? {
            state.store.end_session(&old.user.id, &old.id, now).await?;
        }
    }
    let requester = Requester::of(request);
    let (secret, csrf_token) = (secret::random(), secret::random());
    let session = NewSession {
        password_hash: user.password_hash.clone(),
        secret_hash: secret::hash(&secret),
        csrf_token: csrf_token.clone(),
        address: requester.address.to_string(),
        user_agent: user_agent(request),
        expires_at: now + LIFETIME,
    };
    let event = requester.event(AuditAction::SignIn).by(&user.username);
    let store = state.store.audited(event.entry());
    store.create_session(&user.id, session, now).await?;
    Ok(Started {
        cookie: cookie(secret, LIFETIME),
        csrf_token,
    })
}

/// A cookie that makes the browser forget its session. It needs the attributes of the real one to be accepted.
pub(crate) fn forget() -> Cookie {
    cookie(String::new(), Duration::ZERO)
}

fn cookie(value: String, max_age: Duration) -> Cookie {
    let mut cookie = Cookie::new_with_str(COOKIE, value);
    cookie.set_path("/");
    cookie.set_secure(true);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Lax);
    cookie.set_max_age(max_age);
    cookie
}

/// What a caller shows to be who they are.
#[derive(Clone)]
pub(crate) enum Credential {
    /// A browser's cookie.
    Session(Session),
    /// A program's token.
    Token(Token),
}

/// The signed-in user that sends a request.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    pub(crate) credential: Credential,
    pub(crate) requester: Requester,
}

/// A caller that is an administrator.
pub(crate) struct Administrator(pub(crate) Caller);

impl Caller {
    /// The session of a browser; `None` for a token.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.credential {
            Credential::Session(session) => Some(session),
            Credential::Token(_) => None,
        }
    }

    /// Something that the caller does.
    pub(crate) fn event(&self, action: AuditAction) -> Event {
        self.requester.event(action).by(&self.user.username)
    }

    /// Who sends `request`, which is counted, by its head.
    pub(crate) async fn of(request: &Request) -> Result<Self, ApiError> {
        let state = State::of(request);
        // A wrong token is an error even if the cookie would do: its sender did not mean the cookie.
        let caller = if request.headers().contains_key(AUTHORIZATION) {
            Self::by_token(state, request).await?
        } else {
            Self::by_cookie(state, request).await?
        };
        state.requests.count_user(&caller.user.id)?;
        Ok(caller)
    }

    /// Who was found to send `request` before its body was read.
    fn known(request: &Request) -> Result<Self, ApiError> {
        let known = request.data::<Self>().cloned();
        known.ok_or_else(|| ApiError::internal(&std::io::Error::other("nobody was asked for")))
    }

    async fn by_token(state: &State, request: &Request) -> Result<Self, ApiError> {
        let refused = || {
            ApiError::unauthenticated("The token is unknown, expired, revoked or not for the API.")
        };
        let secret = request
            .header(AUTHORIZATION)
            .and_then(bearer)
            .ok_or_else(refused)?;
        let found = state.accounts.check_token(secret, Scope::Api).await?;
        let (token, user) = found.ok_or_else(refused)?;
        Ok(Self {
            user,
            credential: Credential::Token(token),
            requester: Requester::of(request),
        })
    }

    async fn by_cookie(state: &State, request: &Request) -> Result<Self, ApiError> {
        let cookie = request
            .cookie()
            .get(COOKIE)
            .ok_or_else(|| ApiError::unauthenticated("Sign in, or send a token."))?;
        let now = Timestamp::now();
        let session = state
            .store
            .session(&secret::hash(cookie.value_str()), now)
            .await?
            .ok_or_else(|| ApiError::unauthenticated("The session has ended. Sign in."))?;
        if session.last_used_at + LAST_USE <= now {
            state.store.touch_session(&session.id, now);
        }
        let caller = Self {
            user: session.user.clone(),
            credential: Credential::Session(session),
            requester: Requester::of(request),
        };
        let is_unsafe = !request.method().is_safe();
        // A page that says whose it is gets nothing by the cookie of who signed in after.
        if (is_unsafe || request.headers().contains_key(CSRF_HEADER))
            && let Err(refused) = check_csrf(request, caller.session())
        {
            if is_unsafe {
                caller.note_denied(state, request, "CSRF token");
            }
            return Err(refused);
        }
        Ok(caller)
    }
}

impl Caller {
    /// Tells the audit that the caller was refused what the request asks for.
    fn note_denied(&self, state: &State, request: &Request, why: &str) {
        let event = self.event(AuditAction::AccessDenied);
        let target = format!("{} {}", request.method(), request.uri().path());
        state.options.audit.note(event.to(target).detail(why));
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn check_csrf(request: &Request, session: Option<&Session>) -> Result<(), ApiError> {
    let given = request.header(CSRF_HEADER).unwrap_or_default();
    if session.is_some_and(|session| given.as_bytes().ct_eq(session.csrf_token.as_bytes()).into()) {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Csrf,
        "This needs the csrf_token of the cookie's session in X-CSRF-Token; GET /api/v1/auth/session answers it.",
    ))
}

const SESSION_SCHEME: &str = "session";
const TOKEN_SCHEME: &str = "token";

fn register_schemes(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "apiKey",
        description: Some(
            "The cookie that POST /auth/login sets. Unsafe methods also need the session's `csrf_token` in the \
             header `X-CSRF-Token`, on the documentation page this happens by itself after signing in; where it is \
             sent with a safe method, it is checked, too.",
        ),
        name: Some(COOKIE),
        key_in: Some("cookie"),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(SESSION_SCHEME, scheme);
    let scheme = MetaSecurityScheme {
        ty: "http",
        description: Some(
            "An access token with the scope `api`, from POST /tokens or `herald token create`.",
        ),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: Some("hrld_..."),
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(TOKEN_SCHEME, scheme);
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SESSION_SCHEME, TOKEN_SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let caller = Self::known(request)?;
        strict::check(request)?;
        Ok(caller)
    }
}

impl<'a> ApiExtractor<'a> for Administrator {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Caller::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let caller = Caller::known(request)?;
        if caller.user.role != Role::Admin {
            caller.note_denied(State::of(request), request, "administrators only");
            return Err(ApiError::new(Code::Forbidden, "Only administrators may do this.").into());
        }
        strict::check(request)?;
        Ok(Self(caller))
    }
}
