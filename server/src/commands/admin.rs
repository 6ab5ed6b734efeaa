use anyhow::{Context as _, bail};
use herald_acl::{Role, Username};
use herald_api::{Accounts, AuditAction, Event};
use herald_store::Store;

use super::{await_rights, password, print, store};
use crate::{cli::AdminCommand, config::Config};

/// How many accounts are read at once.
const PAGE: u32 = 500;

/// Runs one of the commands on accounts.
pub(crate) async fn admin(config: &Config, command: AdminCommand) -> anyhow::Result<()> {
    let store = store(config).await?;
    let done = run(&store, command).await;
    store.close().await;
    done
}

async fn run(store: &Store, command: AdminCommand) -> anyhow::Result<()> {
    let accounts = Accounts::new(store.clone());
    match command {
        AdminCommand::Create { name, admin } => {
            // Or the account made here would be taken for the first administrator's.
            accounts.seed().await?;
            let role = if admin { Role::Admin } else { Role::User };
            let event = Event::new(AuditAction::UserCreated).to(&name);
            let accounts = accounts.audited(event.detail(format!("role {role}")).entry());
            let user = accounts.create_user(name, &password::read()?, role).await?;
            print(format_args!("created {} ({})", user.username, user.role))?;
        }
        AdminCommand::ResetPassword { name } => {
            accounts.seed().await?;
            let user = store
                .user_by_name(&name)
                .await?
                .with_context(|| format!("there is no account {name}"))?;
            let event = Event::new(AuditAction::UserChanged).to(&name);
            let accounts = accounts.audited(event.detail("password").entry());
            if !accounts.set_password(&user.id, &password::read()?).await? {
                bail!("there is no account {name} any more");
            }
            print(format_args!("{name} has a new password"))?;
            await_rights(store).await?;
        }
        AdminCommand::List => list(store).await?,
    }
    Ok(())
}

async fn list(store: &Store) -> anyhow::Result<()> {
    let mut after: Option<Username> = None;
    loop {
        let page = store.list_users(after.as_ref(), PAGE).await?;
        for user in &page.items {
            let disabled = if user.disabled { "\tdisabled" } else { "" };
            print(format_args!(
                "{}\t{}\t{}{disabled}",
                user.username, user.role, user.created_at
            ))?;
        }
        match page.items.last().filter(|_| page.more) {
            Some(last) => after = Some(last.username.clone()),
            None => return Ok(()),
        }
    }
}
