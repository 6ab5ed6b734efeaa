//! Who sends a request: a browser session by its cookie, or a program by its token.

use std::{sync::Arc, time::Duration};

use herald_acl::Role;
use herald_store::{Session, Store, Timestamp, User};
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
    error::{ApiError, Code},
    secret,
    state::State,
};

/// The `__Host-` prefix makes browsers insist on Secure, on Path=/ and on no Domain.
pub(crate) const COOKIE: &str = "__Host-herald";
/// Carries the session's CSRF token on unsafe methods.
pub(crate) const CSRF_HEADER: &str = "X-CSRF-Token";
/// How long a browser stays signed in.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A session that was just created.
pub(crate) struct NewSession {
    pub(crate) cookie: Cookie,
    pub(crate) csrf_token: String,
}

/// Creates a session of `user`. The session that the request may have come with ends.
pub(crate) async fn start(
    store: &Store,
    request: &Request,
    user: &User,
) -> Result<NewSession, ApiError> {
    if let Some(old) = request.cookie().get(COOKIE) {
        store.delete_session(&secret::hash(old.value_str())).await?;
    }
    let (secret, csrf_token) = (secret::random(), secret::random());
    let hash = secret::hash(&secret);
    let now = Timestamp::now();
    store
        .create_session(&user.id, &hash, &csrf_token, now + LIFETIME, now)
        .await?;
    Ok(NewSession {
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

/// The signed-in user that sends a request.
pub(crate) struct Caller {
    pub(crate) user: User,
    /// `None` for a token.
    pub(crate) session: Option<Session>,
}

/// A caller that is an administrator.
pub(crate) struct Administrator(pub(crate) Caller);

impl Caller {
    async fn of(request: &Request) -> Result<Self, ApiError> {
        let state = request
            .data::<Arc<State>>()
            .expect("routes() gives every request the state");
        // A wrong token is an error even if the cookie would do: its sender did not mean the cookie.
        let caller = if request.headers().contains_key(AUTHORIZATION) {
            Self::by_token(state, request).await?
        } else {
            Self::by_cookie(state, request).await?
        };
        state.requests.count_user(&caller.user.id)?;
        Ok(caller)
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
        let (_, user) = found.ok_or_else(refused)?;
        Ok(Self {
            user,
            session: None,
        })
    }

    async fn by_cookie(state: &State, request: &Request) -> Result<Self, ApiError> {
        let cookie = request
            .cookie()
            .get(COOKIE)
            .ok_or_else(|| ApiError::unauthenticated("Sign in, or send a token."))?;
        let session = state
            .store
            .session(&secret::hash(cookie.value_str()), Timestamp::now())
            .await?
            .ok_or_else(|| ApiError::unauthenticated("The session has ended. Sign in."))?;
        if !request.method().is_safe() {
            check_csrf(request, &session)?;
        }
        Ok(Self {
            user: session.user.clone(),
            session: Some(session),
        })
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn check_csrf(request: &Request, session: &Session) -> Result<(), ApiError> {
    let given = request.header(CSRF_HEADER).unwrap_or_default();
    if given.as_bytes().ct_eq(session.csrf_token.as_bytes()).into() {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Csrf,
        "With the session cookie, this method needs the session's csrf_token in X-CSRF-Token.",
    ))
}

const SESSION_SCHEME: &str = "session";
const TOKEN_SCHEME: &str = "token";

fn register_schemes(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "apiKey",
        description: Some(
            "The cookie that POST /auth/login sets. Unsafe methods also need the session's `csrf_token` in the \
             header `X-CSRF-Token`; on the documentation page this happens by itself after signing in.",
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
        Ok(Self::of(request).await?)
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
        let caller = Caller::of(request).await?;
        if caller.user.role != Role::Admin {
            return Err(ApiError::new(Code::Forbidden, "Only administrators may do this.").into());
        }
        Ok(Self(caller))
    }
}
