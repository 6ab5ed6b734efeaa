//! Who sends a request: a browser session by its cookie, or a program by its token.

use std::{sync::Arc, time::Duration};

use herald_acl::Role;
use herald_store::{Session, Store, Timestamp, Token, User};
use poem::{Request, RequestBody, Result, http::header::AUTHORIZATION};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use subtle::ConstantTimeEq;

use crate::{
    accounts::{Accounts, TokenScope, secret},
    audit::{Audit, AuditAction, Event},
    error::{ApiError, Code},
    limits::requests::Requests,
    middleware::{requester::Requester, session::COOKIE, strict},
};

/// Carries the session's CSRF token: needed on unsafe methods, and checked wherever it is sent.
pub(crate) const CSRF_HEADER: &str = "X-CSRF-Token";
/// The last use of a session is recorded at most once in this time.
const LAST_USE: Duration = Duration::from_secs(5 * 60);

/// What a caller authenticates with.
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

    /// An event of the audit: the caller does `action`.
    pub(crate) fn event(&self, action: AuditAction) -> Event {
        self.requester.event(action).by(&self.user.username)
    }

    /// The caller of `request`, as found before its body was read.
    fn known(request: &Request) -> Result<Self, ApiError> {
        let known = request.data::<Self>().cloned();
        known.ok_or_else(|| ApiError::internal(&std::io::Error::other("nobody was asked for")))
    }
}

impl Caller {
    /// Records in the audit that the caller was refused what the request asks for.
    fn note_denied(&self, audit: &Audit, request: &Request, why: &str) {
        let event = self.event(AuditAction::AccessDenied);
        let target = format!("{} {}", request.method(), request.uri().path());
        audit.note(event.to(target).detail(why));
    }
}

/// Finds the caller of a request.
pub(crate) struct Authenticator {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) audit: Arc<Audit>,
}

impl Authenticator {
    /// The caller of `request`, by its head. Counts the request.
    pub(crate) async fn caller(&self, request: &Request) -> Result<Caller, ApiError> {
        // A wrong token is an error even if the cookie would do: its sender did not mean the cookie.
        let caller = if request.headers().contains_key(AUTHORIZATION) {
            self.by_token(request).await?
        } else {
            self.by_cookie(request).await?
        };
        self.requests.count_user(&caller.user.id)?;
        Ok(caller)
    }

    async fn by_token(&self, request: &Request) -> Result<Caller, ApiError> {
        let refused = || {
            ApiError::unauthenticated("The token is unknown, expired, revoked or not for the API.")
        };
        let secret = request
            .header(AUTHORIZATION)
            .and_then(bearer)
            .ok_or_else(refused)?;
        let found = match leaves_nothing(request) {
            true => self.accounts.known_token(secret).await?,
            false => self.accounts.check_token(secret, TokenScope::Api).await?,
        };
        let (token, user) = found.ok_or_else(refused)?;
        Ok(Caller {
            user,
            credential: Credential::Token(token),
            requester: Requester::of(request),
        })
    }

    async fn by_cookie(&self, request: &Request) -> Result<Caller, ApiError> {
        let cookie = request
            .cookie()
            .get(COOKIE)
            .ok_or_else(|| ApiError::unauthenticated("Sign in, or send a token."))?;
        let (hash, now) = (secret::hash(cookie.value_str()), Timestamp::now());
        let session = match leaves_nothing(request) {
            true => self.store.known_session(&hash, now).await?,
            false => self.store.session(&hash, now).await?,
        };
        let session =
            session.ok_or_else(|| ApiError::unauthenticated("The session has ended. Sign in."))?;
        if session.last_used_at + LAST_USE <= now {
            self.store.touch_session(&session, now);
        }
        let caller = Caller {
            user: session.user.clone(),
            credential: Credential::Session(session),
            requester: Requester::of(request),
        };
        let is_unsafe = !request.method().is_safe();
        // A page with the CSRF token of one session gets nothing by the cookie of a later one.
        if (is_unsafe || request.headers().contains_key(CSRF_HEADER))
            && let Err(refused) = check_csrf(request, caller.session())
        {
            if is_unsafe {
                caller.note_denied(&self.audit, request, "CSRF token");
            }
            return Err(refused);
        }
        Ok(caller)
    }
}

/// Whether nothing stays of the request that would outlast the right to it, as a new token or a changed account would: for the rest,
/// who asks is looked up afresh.
fn leaves_nothing(request: &Request) -> bool {
    let path = request.uri().path();
    request.method().is_safe() || matches!(path, "/messages" | "/notifications/ack")
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
            if let Some(audit) = request.data::<Arc<Audit>>() {
                caller.note_denied(audit, request, "administrators only");
            }
            return Err(ApiError::new(Code::Forbidden, "Only administrators may do this.").into());
        }
        strict::check(request)?;
        Ok(Self(caller))
    }
}
