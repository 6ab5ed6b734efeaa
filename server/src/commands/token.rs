use anyhow::{Context as _, bail};
use herald_api::{Accounts, AuditAction, Event, TokenRequest};
use herald_store::{Scopes, Store, Timestamp, TokenId, TokenOrigin};

use super::{await_rights, print, store};
use crate::{
    cli::{ScopeArg, TokenCommand},
    config::Config,
    shown::shown,
};

/// What tokens made here are called.
const NAME: &str = "command line";

/// How many tokens are read at once.
const PAGE: u32 = 500;

/// Runs one of the commands on tokens.
pub(crate) async fn token(config: &Config, command: TokenCommand) -> anyhow::Result<()> {
    let store = store(config).await?;
    let done = run(&store, command).await;
    store.close().await;
    done
}

async fn run(store: &Store, command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create {
            name,
            scope,
            expires,
        } => {
            let user = store
                .user_by_name(&name)
                .await?
                .with_context(|| format!("there is no account {name}"))?;
            let scopes = Scopes {
                api: scope.contains(&ScopeArg::Api),
                mqtt: scope.contains(&ScopeArg::Mqtt),
            };
            let event = Event::new(AuditAction::TokenCreated);
            let event = event.detail(format!("of {name}: {NAME}"));
            let request = TokenRequest {
                name: NAME,
                scopes,
                ttl: expires,
                not_after: None,
                origin: TokenOrigin::Owner,
            };
            let accounts = Accounts::new(store.audited(event.entry()));
            let issued = accounts.issue_token(&user.id, request).await?;
            print(format_args!("{}", issued.secret))?;
            crate::logging::write_line(&format!(
                "token {}; it is shown this once",
                issued.token.id
            ));
        }
        TokenCommand::List => list(store).await?,
        TokenCommand::Revoke { id } => {
            let id = TokenId::from_string(id);
            let Some(owner) = store.token_owner(&id).await? else {
                bail!("there is no token {id}");
            };
            let event = Event::new(AuditAction::TokenRevoked).to(id.as_str());
            let event = event.detail(format!("of {}", owner.username));
            let store = store.audited(event.entry());
            store.revoke_token(&owner.id, &id, Timestamp::now()).await?;
            print(format_args!("revoked {id} of {}", owner.username))?;
            await_rights(&store).await?;
        }
    }
    Ok(())
}

async fn list(store: &Store) -> anyhow::Result<()> {
    let mut before: Option<TokenId> = None;
    loop {
        let page = store.list_all_tokens(before.as_ref(), PAGE).await?;
        for (owner, token) in &page.items {
            let scopes = match (token.scopes.api, token.scopes.mqtt) {
                (true, true) => "api,mqtt",
                (true, false) => "api",
                (false, _) => "mqtt",
            };
            let expires = token
                .expires_at
                .map_or("never".to_owned(), |at| at.to_string());
            print(format_args!(
                "{}\t{}\t{scopes}\t{}\texpires {expires}",
                token.id,
                owner,
                shown(&token.name)
            ))?;
        }
        match page.items.last().filter(|_| page.more) {
            Some((_, last)) => before = Some(last.id.clone()),
            None => return Ok(()),
        }
    }
}
