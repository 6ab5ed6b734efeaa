//! Access tokens: made, listed and revoked by their owner.

use std::{sync::Arc, time::Duration};

use herald_store::{Scopes, Store, Timestamp, Token, TokenId, TokenOrigin};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    accounts::{Accounts, TokenRequest},
    audit::AuditAction,
    error::{
        ApiError, Code, Failure,
        codes::{InsufficientScope, Invalid, NotFound, TooManyTokens},
    },
    fields::{
        DateTime, Id, Limit, NO_CONTROL, NextPageToken, PageToken, Secret, described::described,
        example::example,
    },
    limits::requests::Requests,
    middleware::caller::{Caller, Credential},
    rights::{Rights, RightsInForce},
    routes::tags::Tag,
    views::page,
};

pub(crate) struct TokensApi {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) rights: Rights,
}

/// What a token may be used for: this API (`api`) or MQTT connections (`mqtt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "Scope", rename_all = "snake_case")]
pub(crate) enum ScopeName {
    /// This API.
    Api,
    /// MQTT connections.
    Mqtt,
}

described! {
    /// What the token is for, 1 to 64 characters.
    TokenName(String, "backup script") {
        min_length: Some(1),
        max_length: Some(64),
        pattern: Some(NO_CONTROL.to_owned()),
    }
}

described! {
    /// What it may be used for: at least one.
    ScopeNames(Vec<ScopeName>, vec![ScopeName::Api]) {
        min_items: Some(1),
        unique_items: Some(true),
    }
}

/// The token to make.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct NewToken {
    name: TokenName,
    #[oai(validator(unique_items))]
    scopes: ScopeNames,
    /// Seconds until the token expires, at most ten years. Without it, it never does.
    #[oai(validator(minimum(value = "1"), maximum(value = "315360000")))]
    expires_in_s: Option<u64>,
}

example!(NewToken {
    name,
    scopes,
    expires_in_s: Some(2_592_000),
});

/// A token, without its text.
#[derive(Object)]
#[oai(example, rename = "Token")]
struct TokenView {
    id: Id,
    /// What it is for.
    name: TokenName,
    scopes: ScopeNames,
    /// When it was made.
    created_at: DateTime,
    /// Null: never.
    expires_at: Option<DateTime>,
    /// Within five minutes. Null: never.
    last_used_at: Option<DateTime>,
}

example!(TokenView {
    id,
    name,
    scopes,
    created_at,
    expires_at: Some(DateTime("2026-12-22T10:00:00.000Z".into())),
    last_used_at: Some(DateTime::example()),
});

/// A new token. Its text is shown this once.
#[derive(Object)]
#[oai(example)]
struct CreatedToken {
    id: Id,
    /// Send it as `Authorization: Bearer TOKEN`, or as the password of an MQTT connection.
    token: Secret,
    /// What it is for.
    name: TokenName,
    scopes: ScopeNames,
    /// When it was made.
    created_at: DateTime,
    /// Null: never.
    expires_at: Option<DateTime>,
}

example!(CreatedToken {
    id,
    token,
    name,
    scopes,
    created_at,
    expires_at: Some(DateTime("2026-12-22T10:00:00.000Z".into())),
});

impl CreatedToken {
    fn new(token: TokenView, secret: String) -> Self {
        Self {
            id: token.id,
            token: Secret(secret),
            name: token.name,
            scopes: token.scopes,
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

/// A page of tokens.
#[derive(Object)]
#[oai(example)]
struct TokenList {
    /// Newest first.
    items: Vec<TokenView>,
    /// The `before` of the next page.
    next: Option<NextPageToken>,
}

example!(TokenList {
    items: vec![TokenView::example()],
    next: None
});

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
    Revoked(#[oai(header = "X-Rights-In-Force")] RightsInForce),
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
        before: Query<Option<PageToken>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<TokenList>, ApiError> {
        let before = before.0.map(|PageToken(id)| TokenId::from_string(id));
        let tokens = self
            .store
            .list_tokens(&caller.user.id, before.as_ref(), limit.0.0)
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
    async fn create(
        &self,
        caller: Caller,
        new: Json<NewToken>,
    ) -> Result<Created, Failure<(InsufficientScope, TooManyTokens, Invalid)>> {
        self.requests.count_credential(&caller.user.id)?;
        let scopes = Scopes {
            api: new.scopes.0.contains(&ScopeName::Api),
            mqtt: new.scopes.0.contains(&ScopeName::Mqtt),
        };
        let (origin, not_after) = match &caller.credential {
            Credential::Session(own) => (TokenOrigin::SignedIn(own.id.clone()), None),
            Credential::Token(own)
                if (scopes.api && !own.scopes.api) || (scopes.mqtt && !own.scopes.mqtt) =>
            {
                return Err(ApiError::new(
                    Code::InsufficientScope,
                    "A token can give no scope that it does not have.",
                )
                .into());
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
        let created = CreatedToken::new(issued.token.into(), issued.secret);
        Ok(Created::Created(Json(created)))
    }

    /// Revoke a token
    ///
    /// It opens nothing any more, nor do those that it made, and the MQTT sessions that were signed in with one of them end.
    /// The answer comes when that is in force on every server.
    #[oai(path = "/tokens/:id", method = "delete", operation_id = "revokeToken")]
    async fn revoke(&self, caller: Caller, id: Path<Id>) -> Result<Revoked, Failure<NotFound>> {
        self.requests.count_credential(&caller.user.id)?;
        let event = caller.event(AuditAction::TokenRevoked).to(&id.0.0);
        let store = self.store.audited(event.entry());
        let id = TokenId::from_string(id.0.0);
        let revoked = store.revoke_token(&caller.user.id, &id, Timestamp::now());
        if revoked.await? {
            Ok(Revoked::Revoked(self.rights.in_force().await))
        } else {
            Err(ApiError::new(Code::NotFound, "You have no such token.").into())
        }
    }
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: Id::of(token.id),
            name: TokenName(token.name),
            scopes: scope_names(&token.scopes),
            created_at: token.created_at.into(),
            expires_at: token.expires_at.map(DateTime::from),
            last_used_at: token.last_used_at.map(DateTime::from),
        }
    }
}

fn scope_names(scopes: &Scopes) -> ScopeNames {
    let names = [(scopes.api, ScopeName::Api), (scopes.mqtt, ScopeName::Mqtt)]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name));
    ScopeNames(names.collect())
}
