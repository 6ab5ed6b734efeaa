//! Making an account for oneself.

use std::sync::Arc;

use herald_acl::Role;
use poem::Request;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use crate::{
    accounts::Accounts,
    audit::AuditAction,
    error::{
        ApiError, Code, Failure,
        codes::{Invalid, RegistrationClosed, UsernameTaken},
    },
    fields::{ChosenPassword, Name, example::example},
    limits::requests::Requests,
    middleware::requester::Requester,
    routes::tags::Tag,
    views::user::{UserView, username},
};

pub(crate) struct RegistrationApi {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) requests: Arc<Requests>,
    /// Whether anybody may.
    pub(crate) open: bool,
}

/// The account to make for oneself.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct Registration {
    /// `[a-z0-9][a-z0-9._-]{0,63}`; it never changes.
    username: Name,
    password: ChosenPassword,
}

example!(Registration { username, password });

/// Whether accounts are made by those who want one.
#[derive(Object)]
#[oai(example, rename = "RegistrationState")]
struct RegistrationView {
    /// Whether anybody may make an account for themselves, by POST /auth/register.
    open: bool,
}

example!(RegistrationView { open: false });

#[derive(ApiResponse)]
enum Registered {
    /// The account was made. Sign in with it.
    #[oai(status = 201)]
    Registered(Json<UserView>),
}

#[OpenApi(tag = "Tag::Auth")]
impl RegistrationApi {
    /// Ask whether one may register
    ///
    /// Whether POST /auth/register makes accounts (`auth.registration`); a page for signing in asks.
    #[oai(
        path = "/auth/registration",
        method = "get",
        operation_id = "getRegistration"
    )]
    async fn registration(&self) -> Result<Json<RegistrationView>, ApiError> {
        Ok(Json(RegistrationView { open: self.open }))
    }

    /// Make an account for oneself
    ///
    /// If the server allows it (`auth.registration`). It is an ordinary user's.
    #[oai(path = "/auth/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        request: &Request,
        new: Json<Registration>,
    ) -> Result<Registered, Failure<(RegistrationClosed, UsernameTaken, Invalid)>> {
        if !self.open {
            return Err(ApiError::new(
                Code::RegistrationClosed,
                "An administrator makes the accounts of this server.",
            )
            .into());
        }
        let name = username(&new.username)?;
        let requester = Requester::of(request);
        self.requests.count_registration(requester.address)?;
        let event = requester.event(AuditAction::UserRegistered);
        let accounts = self.accounts.audited(event.to(&name).entry());
        let user = accounts
            .create_user(name, &new.password.0, Role::User)
            .await?;
        tracing::info!(user = %user.username, "an account was registered");
        Ok(Registered::Registered(Json(user.into())))
    }
}
