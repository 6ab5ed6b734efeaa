//! The sessions of browsers, and their cookie.

use std::time::Duration;

use herald_store::{NewSession, Store, Timestamp, User};
use poem::{
    Request,
    web::cookie::{Cookie, SameSite},
};

use crate::{
    accounts::secret,
    audit::AuditAction,
    error::ApiError,
    middleware::requester::{Requester, user_agent},
};

/// The `__Host-` prefix makes browsers insist on Secure, on Path=/ and on no Domain.
pub(crate) const COOKIE: &str = "__Host-herald";
/// How long a browser stays signed in, however much it is used. Without use it ends earlier: [`herald_store::Session::MAX_IDLE`].
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A session that has just begun.
pub(crate) struct Started {
    pub(crate) cookie: Cookie,
    pub(crate) csrf_token: String,
    /// Whether it ended the session that the request came with.
    pub(crate) replaced: bool,
}

/// Begins a session of `user`, and records it. Ends the session that the request came with, if any.
pub(crate) async fn start(
    store: &Store,
    request: &Request,
    user: &User,
) -> Result<Started, ApiError> {
    let now = Timestamp::now();
    let mut replaced = false;
    if let Some(old) = request.cookie().get(COOKIE) {
        let hash = secret::hash(old.value_str());
        if let Some(old) = store.session(&hash, now).await? {
            replaced = store.end_session(&old.user.id, &old.id, now).await?;
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
    let store = store.audited(event.entry());
    store.create_session(&user.id, session, now).await?;
    Ok(Started {
        cookie: cookie(secret, LIFETIME),
        csrf_token,
        replaced,
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
