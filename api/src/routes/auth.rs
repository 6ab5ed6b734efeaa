//! Signing in and out, and the own password.

use std::sync::Arc;

use herald_acl::Role;
use herald_store::{Store, Timestamp, User};
use poem::{Request, web::cookie::CookieJar};
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use crate::{
    accounts::{AccountError, Accounts, known_browsers::BrowserMarks},
    audit::{Audit, AuditAction, failed_sign_in},
    error::{
        ApiError, Code, Failure,
        codes::{Invalid, InvalidCredentials, TooManyAttempts},
    },
    fields::{ChosenPassword, GivenPassword, Name, described::described, example::example},
    limits::requests::Requests,
    middleware::{caller::Caller, requester::Requester, session},
    rights::{Rights, RightsInForce},
    routes::tags::Tag,
    views::user::UserView,
};

pub(crate) struct AuthApi {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) rights: Rights,
}

/// Who wants to sign in.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct Login {
    username: Name,
    password: GivenPassword,
}

example!(Login { username, password });

/// A new password, and the proof that its owner asks for it.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct NewPassword {
    /// The password until now.
    current: GivenPassword,
    new: ChosenPassword,
}

example!(NewPassword {
    current,
    new: ChosenPassword("another horse battery staple".into()),
});

described! {
    /// To be sent as `X-CSRF-Token` on unsafe methods.
    CsrfToken(String, "q0mZ4mFfQ2GdB3pH0o6V1y8n5uXk7sTa9cLwRjEiKgM") {
        pattern: Some("^[A-Za-z0-9_-]{43}$".to_owned()),
    }
}

/// Who is signed in.
#[derive(Object)]
#[oai(example, rename = "Session")]
struct SessionView {
    user: UserView,
    /// To be sent as `X-CSRF-Token` on unsafe methods. Null if a token authenticates the request: it needs none.
    csrf_token: Option<CsrfToken>,
    /// Whether the account `admin` still has the password `admin`, which everyone knows. Only administrators are told; for
    /// others it is false.
    default_password: bool,
    usage: Usage,
}

example!(SessionView {
    user,
    csrf_token: Some(CsrfToken::example()),
    default_password: false,
    usage,
});

/// How much is kept of a user.
#[derive(Object)]
#[oai(example)]
struct Usage {
    /// The bytes of messages, results and errors, and a fixed number for each message, notification and attempt that failed.
    stored_bytes: u64,
    /// What it may come to: sends beyond it are refused. Null if there is no limit.
    stored_bytes_limit: Option<u64>,
}

example!(Usage {
    stored_bytes: 0,
    stored_bytes_limit: Some(0)
});

#[derive(ApiResponse)]
enum SignedIn {
    /// Who is signed in.
    #[oai(
        status = 200,
        header(
            name = "Set-Cookie",
            ty = "Option<String>",
            description = "The session cookie `__Host-herald`: Secure, HttpOnly, SameSite=Lax."
        )
    )]
    SignedIn(Json<SessionView>),
}

#[derive(ApiResponse)]
enum SignedOut {
    /// Done.
    #[oai(
        status = 204,
        header(
            name = "Set-Cookie",
            ty = "Option<String>",
            description = "Takes the session cookie back."
        )
    )]
    SignedOut(#[oai(header = "X-Rights-In-Force")] RightsInForce),
}

#[derive(ApiResponse)]
enum Done {
    /// Done.
    #[oai(status = 204)]
    Done(#[oai(header = "X-Rights-In-Force")] RightsInForce),
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
    ) -> Result<SignedIn, Failure<(InvalidCredentials, TooManyAttempts)>> {
        let requester = Requester::of(request);
        let (name, password) = (&login.username.0, &login.password.0);
        let marks = BrowserMarks::of(request);
        let address = requester.address;
        let login = self.accounts.login_with(name, password, address, &marks);
        let user = self
            .recorded(&requester, name, login.await)
            .await?
            .ok_or_else(|| {
                ApiError::new(
                    Code::InvalidCredentials,
                    "The username or the password is wrong.",
                )
            })?;
        self.requests.count_credential(&user.id)?;
        let session = session::start(&self.store, request, &user).await?;
        if session.replaced {
            // Nobody goes on with it anywhere. Whether a server had to be given up concerns who ended it, and not who signs in.
            self.rights.in_force().await;
        }
        cookies.add(session.cookie);
        cookies.add(marks.cookie(&user, Timestamp::now()));
        let view = self.view(user, Some(session.csrf_token)).await?;
        Ok(SignedIn::SignedIn(Json(view)))
    }

    /// Sign out
    ///
    /// Ends the session of the cookie, and its MQTT connections. A token stays valid; DELETE /tokens/{id} revokes it. The answer
    /// comes when that is in force on every server.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller, cookies: &CookieJar) -> Result<SignedOut, ApiError> {
        if let Some(session) = caller.session() {
            let event = caller.event(AuditAction::SignOut);
            let store = self.store.audited(event.entry());
            let now = Timestamp::now();
            store.end_session(&caller.user.id, &session.id, now).await?;
            cookies.add(session::forget());
        }
        Ok(SignedOut::SignedOut(self.rights.in_force().await))
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
    /// Ends the user's other browser sessions, and the MQTT sessions that were signed in by the old password, and no browser but
    /// this one is known to the account any more. Tokens stay. The answer comes when that is in force on every server.
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
    ) -> Result<Done, Failure<(InvalidCredentials, Invalid, TooManyAttempts)>> {
        let address = caller.requester.address;
        let accounts = &self.accounts;
        let current = accounts.confirm(&caller.user, &passwords.current.0, address);
        let (current, name) = (current.await, caller.user.username.as_str());
        let current = self.recorded(&caller.requester, name, current).await?;
        let wrong = || ApiError::new(Code::InvalidCredentials, "The current password is wrong.");
        let user = current.ok_or_else(wrong)?;
        let keep = caller.session();
        let keep = keep.map(|session| session.secret_hash.as_str());
        let event = caller.event(AuditAction::PasswordChanged);
        let accounts = self.accounts.audited(event.entry());
        let changed = accounts
            .change_password(&user, &passwords.new.0, keep)
            .await?;
        let changed = changed.ok_or_else(wrong)?;
        if caller.session().is_some() {
            cookies.add(BrowserMarks::of(request).cookie(&changed, Timestamp::now()));
        }
        tracing::info!(user = %caller.user.username, "a password was changed by its owner");
        Ok(Done::Done(self.rights.in_force().await))
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
            csrf_token: csrf_token.map(CsrfToken),
            default_password,
        })
    }

    /// Records that the password of the user with this name was wrong, or could not be tried. Returns `checked`.
    async fn recorded(
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
