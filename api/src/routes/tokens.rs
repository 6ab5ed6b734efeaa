//! Access tokens: made, listed and revoked by their owner.

use std::{sync::Arc, time::Duration};

use herald_store::{Scopes, Store, Timestamp, Token, TokenId, TokenOrigin};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};

use crate::{
    accounts::{Accounts, TokenRequest},
    audit::AuditAction,
    description::{
        tags::Tag,
        text::{DateTime, Text},
    },
    error::{ApiError, Code},
    limits::requests::Requests,
    middleware::caller::{Caller, Credential},
    routes::page,
};

pub(crate) struct TokensApi {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) requests: Arc<Requests>,
}

/// What a token may be used for: this API (`api`) or MQTT connections (`mqtt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "Scope", rename_all = "snake_case")]
enum ScopeName {
    /// This API.
    Api,
    /// MQTT connections.
    Mqtt,
}

/// The token to make.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct NewToken {
    /// What the token is for, 1 to 64 characters.
    name: Text,
    /// At least one.
    #[oai(validator(unique_items))]
    scopes: Vec<ScopeName>,
    /// Seconds until the token expires, at most ten years. Without it, it never does.
    #[oai(validator(minimum(value = "1"), maximum(value = "315360000")))]
    expires_in_s: Option<u64>,
}

impl Example for NewToken {
    fn example() -> Self {
        Self {
            name: Text("backup script".into()),
            scopes: vec![ScopeName::Api],
            expires_in_s: Some(2_592_000),
        }
    }
}

/// A token, without its text.
#[derive(Object)]
#[oai(rename = "Token")]
struct TokenView {
    id: String,
    name: String,
    scopes: Vec<ScopeName>,
    created_at: DateTime,
    /// Null: never.
    expires_at: Option<DateTime>,
    /// Within five minutes. Null: never.
    last_used_at: Option<DateTime>,
}

/// A new token. Its text is shown this once.
#[derive(Object)]
struct CreatedToken {
    id: String,
    /// Send it as `Authorization: Bearer TOKEN`, or as the password of an MQTT connection.
    token: String,
    name: String,
    scopes: Vec<ScopeName>,
    created_at: DateTime,
    /// Null: never.
    expires_at: Option<DateTime>,
}

/// A page of tokens.
#[derive(Object)]
struct TokenList {
    /// Newest first.
    items: Vec<TokenView>,
    /// The `before` of the next page.
    next: Option<String>,
}

#[derive(ApiResponse)]
enum Created {
    /// The token was made.
    #[oai(status = 201)]
    Created(Json<CreatedToken>),
}

#[derive(ApiResponse)]
enum Revoked {
    /// The token is of no use any more.
    #[oai(status = 204)]
    Revoked,
}

#[OpenApi(tag = "Tag::Tokens")]
impl TokensApi {
    /// List one's tokens
    ///
    /// Newest first, without their texts. Revoked tokens are not among them, nor are those of `POST /auth/mqtt` for a
    /// browser: they belong to its session.
    #[oai(path = "/tokens", method = "get", operation_id = "listTokens")]
    async fn list(
        &self,
        caller: Caller,
        /// Only tokens older than the one with this id.
        before: Query<Option<String>>,
        #[oai(
            default = "page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
    ) -> Result<Json<TokenList>, ApiError> {
        let before = before.0.map(TokenId::from_string);
        let tokens = self
            .store
            .list_tokens(&caller.user.id, before.as_ref(), limit.0)
            .await?;
        let (tokens, next) = page::items(tokens, |token| token.id.to_string());
        Ok(Json(TokenList {
            items: tokens.into_iter().map(TokenView::from).collect(),
            next,
        }))
    }

    /// Make a token
    ///
    /// Its text is in this answer and nowhere else. A token that makes another can give it no more scopes than it has, and
    /// the other ends with it at the latest.
    #[oai(path = "/tokens", method = "post", operation_id = "createToken")]
    async fn create(&self, caller: Caller, new: Json<NewToken>) -> Result<Created, ApiError> {
        self.requests.count_credential(&caller.user.id)?;
        let scopes = Scopes {
            api: new.scopes.contains(&ScopeName::Api),
            mqtt: new.scopes.contains(&ScopeName::Mqtt),
        };
        let (origin, not_after) = match &caller.credential {
            Credential::Session(_) => (TokenOrigin::Owner, None),
            Credential::Token(own)
                if (scopes.api && !own.scopes.api) || (scopes.mqtt && !own.scopes.mqtt) =>
            {
                return Err(ApiError::new(
                    Code::InsufficientScope,
                    "A token can give no scope that it does not have.",
                ));
            }
            Credential::Token(own) => (TokenOrigin::Token(own.id.clone()), own.expires_at),
        };
        let event = caller.event(AuditAction::TokenCreated).detail(&new.name.0);
        let request = TokenRequest {
            name: &new.name.0,
            scopes,
            ttl: new.expires_in_s.map(Duration::from_secs),
            not_after,
            origin,
        };
        let accounts = self.accounts.audited(event.entry());
        let issued = accounts.issue_token(&caller.user.id, request).await?;
        let view = TokenView::from(issued.token);
        Ok(Created::Created(Json(CreatedToken {
            id: view.id,
            token: issued.secret,
            name: view.name,
            scopes: view.scopes,
            created_at: view.created_at,
            expires_at: view.expires_at,
        })))
    }

    /// Revoke a token
    ///
    /// Within a second it opens nothing any more, nor do those that it made, and the MQTT sessions that were signed in with
    /// one of them end.
    #[oai(path = "/tokens/:id", method = "delete", operation_id = "revokeToken")]
    async fn revoke(&self, caller: Caller, id: Path<String>) -> Result<Revoked, ApiError> {
        self.requests.count_credential(&caller.user.id)?;
        let event = caller.event(AuditAction::TokenRevoked).to(&id.0);
        let store = self.store.audited(event.entry());
        let id = TokenId::from_string(id.0);
        let revoked = store.revoke_token(&caller.user.id, &id, Timestamp::now());
        if revoked.await? {
            Ok(Revoked::Revoked)
        } else {
            Err(ApiError::new(Code::NotFound, "You have no such token."))
        }
    }
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name,
            scopes: scope_names(&token.scopes),
            created_at: token.created_at.into(),
            expires_at: token.expires_at.map(DateTime::from),
            last_used_at: token.last_used_at.map(DateTime::from),
        }
    }
}

fn scope_names(scopes: &Scopes) -> Vec<ScopeName> {
    [(scopes.api, ScopeName::Api), (scopes.mqtt, ScopeName::Mqtt)]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect()
}
