//! Tokens that end.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::statement::{Script, Statement};
use crate::users::parse_username;
use crate::writer::{Locks, Operation, Transaction};
use crate::writes::rights_changes::record;
use crate::{Changed, Store, StoreError, Timestamp, TokenId, UserId, bulk};

impl Store {
    /// Revokes a token of a user, and those that it made. Returns whether the user had it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn revoke_token(
        &self,
        user: &UserId,
        token: &TokenId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(Revoke {
            user: user.clone(),
            token: token.clone(),
            now,
        })
        .await
    }
}

/// Deletes tokens and those that they made, and records it for those who hold live sessions. A few statements, whatever their
/// number: all other writes wait for these. The caller has locked the queue of their owner.
pub(super) async fn end_tokens(
    tx: &mut Transaction<'_>,
    tokens: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    end_with(tx, vec![], tokens, now).await
}

/// Deletes tokens that end with `others`, and records both.
pub(crate) async fn end_with(
    tx: &mut Transaction<'_>,
    others: Vec<Changed>,
    tokens: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    if tokens.is_empty() {
        return record(tx, &others, now).await;
    }
    let mut script = Script::default();
    let ended = script.add_all(with_made(tokens));
    let results = tx.run(script).await?;
    let mut changes = others;
    for row in results.rows(&ended) {
        changes.push(read_ended(row)?);
    }
    record(tx, &changes, now).await?;
    // Those that they made go with them: ON DELETE CASCADE.
    let mut script = Script::default();
    let delete = format!("{} WHERE id", tx.dialect().delete_by_key("tokens"));
    script.add_all(bulk::of_each(&delete, tokens));
    tx.defer(script).await
}

/// What reads tokens, those that they made, and whose they are.
fn with_made(tokens: &[String]) -> Vec<Statement> {
    let read = |rows| {
        Statement::made(format!(
            "WITH RECURSIVE ended (id, user_id) AS (
                SELECT id, user_id FROM tokens WHERE id IN ({})
                UNION SELECT t.id, t.user_id FROM ended JOIN tokens t ON t.parent_id = ended.id)
             SELECT ended.id, u.username FROM ended JOIN users u ON u.id = ended.user_id",
            bulk::list(rows, 1)
        ))
    };
    bulk::for_each(tokens, read, |statement, token| {
        statement.bind(token.map(String::as_str))
    })
}

fn read_ended(row: &AnyRow) -> Result<Changed, StoreError> {
    Ok(Changed::Credential {
        owner: parse_username(row.try_get("username")?)?,
        id: row.try_get("id")?,
    })
}

struct Revoke {
    user: UserId,
    token: TokenId,
    now: Timestamp,
}

impl Operation for Revoke {
    type Output = bool;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let mut script = Script::default();
        let theirs = Statement::new("SELECT id FROM tokens WHERE id = $1 AND user_id = $2");
        let theirs = script.add(theirs.bind(self.token.as_str()).bind(self.user.as_str()));
        if tx.run(script).await?.rows(&theirs).next().is_none() {
            return Ok(false);
        }
        end_tokens(tx, &[self.token.to_string()], self.now).await?;
        Ok(true)
    }

    fn changes(revoked: &bool) -> bool {
        *revoked
    }
}
