//! Making accounts, and changing them.

use herald_acl::{Role, Username};
use herald_store::{CreateUser, Timestamp, UpdateUser, User, UserId, UserUpdate};

use super::{
    bounds::{PASSWORD_BYTES, PASSWORD_CHARS, TOKEN_PREFIX},
    directory::Accounts,
    error::AccountError,
};

/// What is to change of an account; `None` stays as it is.
#[derive(Default)]
pub(crate) struct AccountUpdate<'a> {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
    pub(crate) password: Option<&'a str>,
    /// The hash of the secret of the browser session that a new password does not end.
    pub(crate) keep_session: Option<&'a str>,
    /// Nothing is changed if the hash of the password is another one by now.
    pub(crate) expected_hash: Option<&'a str>,
}

impl Accounts {
    /// Creates an account. Errors: [`AccountError::Taken`], [`AccountError::PasswordLength`],
    /// [`AccountError::PasswordLooksLikeToken`].
    pub async fn create_user(
        &self,
        username: Username,
        password: &str,
        role: Role,
    ) -> Result<User, AccountError> {
        check_new_password(password)?;
        self.create_unchecked(username, password, role).await
    }

    /// Replaces a user's password and ends the user's browser sessions. Returns whether there is such a user. Errors:
    /// [`AccountError::PasswordLength`], [`AccountError::PasswordLooksLikeToken`].
    pub async fn set_password(&self, user: &UserId, password: &str) -> Result<bool, AccountError> {
        let update = AccountUpdate {
            password: Some(password),
            ..AccountUpdate::default()
        };
        let updated = self.update(user, update).await?;
        Ok(matches!(updated, UpdateUser::Updated(_)))
    }

    /// Changes an account. Errors: [`AccountError::PasswordLength`], [`AccountError::PasswordLooksLikeToken`].
    pub(crate) async fn update(
        &self,
        user: &UserId,
        update: AccountUpdate<'_>,
    ) -> Result<UpdateUser, AccountError> {
        let password_hash = match update.password {
            Some(password) => {
                check_new_password(password)?;
                Some(self.shared.passwords.turn().await?.hash(password).await?)
            }
            None => None,
        };
        let update = UserUpdate {
            role: update.role,
            disabled: update.disabled,
            password_hash,
            keep_session: update.keep_session.map(str::to_owned),
            expected_hash: update.expected_hash.map(str::to_owned),
        };
        Ok(self
            .store
            .update_user(user, update, Timestamp::now())
            .await?)
    }

    /// Replaces the password of `user`, who has just confirmed it, and ends the user's browser sessions except
    /// `keep_session`. Returns the user as it is now, or `None` if it was not the user's password any more. Errors:
    /// [`AccountError::PasswordLength`], [`AccountError::PasswordLooksLikeToken`].
    pub(crate) async fn change_password(
        &self,
        user: &User,
        new: &str,
        keep_session: Option<&str>,
    ) -> Result<Option<User>, AccountError> {
        let update = AccountUpdate {
            password: Some(new),
            keep_session,
            expected_hash: Some(&user.password_hash),
            ..AccountUpdate::default()
        };
        match self.update(&user.id, update).await? {
            UpdateUser::Updated(user) => Ok(Some(user)),
            _ => Ok(None),
        }
    }

    /// Creates an account with whatever password.
    pub(super) async fn create_unchecked(
        &self,
        username: Username,
        password: &str,
        role: Role,
    ) -> Result<User, AccountError> {
        let hash = self.shared.passwords.turn().await?.hash(password).await?;
        match self
            .store
            .create_user(&username, role, &hash, Timestamp::now())
            .await?
        {
            CreateUser::Created(user) => Ok(user),
            CreateUser::Taken => Err(AccountError::Taken),
        }
    }
}

fn check_new_password(password: &str) -> Result<(), AccountError> {
    if password.chars().count() < PASSWORD_CHARS || password.len() > PASSWORD_BYTES {
        return Err(AccountError::PasswordLength);
    }
    if password.starts_with(TOKEN_PREFIX) {
        return Err(AccountError::PasswordLooksLikeToken);
    }
    Ok(())
}
