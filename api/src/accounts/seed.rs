//! The administrator that there is from the first start on.

use herald_acl::{Role, Username};

use super::{directory::Accounts, error::AccountError};

/// The name and the password of the account that [`Accounts::seed`] creates.
const DEFAULT_ADMIN: &str = "admin";

impl Accounts {
    /// Creates the administrator `admin` with the password `admin` if there is no account at all, and returns
    /// whether it did.
    pub async fn seed(&self) -> Result<bool, AccountError> {
        if self.store.count_users().await? > 0 {
            return Ok(false);
        }
        let username = Username::parse(DEFAULT_ADMIN).expect("a valid name");
        match self
            .create_unchecked(username, DEFAULT_ADMIN, Role::Admin)
            .await
        {
            Ok(_) => Ok(true),
            Err(AccountError::Taken) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the seeded account still has its seeded password. Costs a read, and a hash after each change of it.
    pub async fn default_password_stands(&self) -> Result<bool, AccountError> {
        let name = Username::parse(DEFAULT_ADMIN).expect("a valid name");
        let admin = self.store.user_by_name(&name).await?;
        let Some(admin) = admin.filter(|admin| !admin.disabled) else {
            return Ok(false);
        };
        let known = self.shared.seeded.lock().clone();
        if let Some((hash, stands)) = known
            && hash == admin.password_hash
        {
            return Ok(stands);
        }
        let turn = self.shared.passwords.turn().await?;
        let hash = Some(admin.password_hash.as_str());
        let stands = turn.matches(DEFAULT_ADMIN, hash, || ()).await?;
        *self.shared.seeded.lock() = Some((admin.password_hash, stands));
        Ok(stands)
    }
}
