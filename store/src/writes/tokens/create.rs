//! A token that is made.

use sqlx::Row as _;

use super::end::end_tokens;
use crate::dialect::Dialect;
use crate::statement::{Part, Results, Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
use crate::{Scopes, SessionId, Store, StoreError, Timestamp, Token, TokenId, UserId};

/// How many tokens a user may have, those that have ended and are not forgotten yet among them.
const MAX_TOKENS: i64 = 1000;

/// How many tokens for MQTT a session has at once; another one ends that which was made first.
const MAX_OF_SESSION: i64 = 32;

/// How many tokens may be made one by another, the first among them.
const MAX_DEPTH: i64 = 8;

/// What a token ends with, at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOrigin {
    /// Its own end.
    Owner,
    /// Its own end, too; but it is only made while this session of its owner lasts, which asks for it.
    SignedIn(SessionId),
    /// This session of its owner, which needs it for MQTT. It is not listed.
    Session(SessionId),
    /// This token of its owner, which made it.
    Token(TokenId),
}

/// A token that is to be made.
#[derive(Clone)]
pub struct NewToken {
    /// What its owner calls it.
    pub name: String,
    /// What it opens.
    pub scopes: Scopes,
    /// The hash of its secret.
    pub token_hash: String,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
    /// What it ends with.
    pub origin: TokenOrigin,
}

/// What came of [`Store::create_token`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateToken {
    /// The token was made.
    Created(Token),
    /// The user has too many.
    TooMany,
    /// It would be made by a token that was itself made by another, and so on, too many times.
    TooDeep,
    /// The session or the token that it was to end with has ended.
    OriginEnded,
}

impl Store {
    /// Makes a token of `user`, and forgets those of the user that have ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written; [`StoreError::UnknownUser`] if there is no such
    /// account.
    pub async fn create_token(
        &self,
        user: &UserId,
        token: NewToken,
        now: Timestamp,
    ) -> Result<CreateToken, StoreError> {
        self.write(Create {
            id: TokenId::new(),
            user: user.clone(),
            token,
            now,
        })
        .await
    }
}

struct Create {
    id: TokenId,
    user: UserId,
    token: NewToken,
    now: Timestamp,
}

/// Where in the results of a script is what a new token has to know.
struct Reads {
    account: Part,
    origin: Option<Part>,
    others: Part,
}

/// What has to be known of a token that is to be made.
struct Facts {
    /// How many tokens were made one by another up to what this one is to end with; `None` if that has ended.
    depth: Option<i64>,
    /// How many tokens the user has that no session needs.
    owned: i64,
}

/// Why it is not made, if it is not.
fn refusal(facts: &Facts) -> Option<CreateToken> {
    match facts.depth {
        None => Some(CreateToken::OriginEnded),
        Some(depth) if depth >= MAX_DEPTH => Some(CreateToken::TooDeep),
        Some(_) if facts.owned >= MAX_TOKENS => Some(CreateToken::TooMany),
        Some(_) => None,
    }
}

impl Create {
    /// Forgets those that have ended, and reads what this one has to know.
    fn reads(&self, dialect: Dialect) -> (Script, Reads) {
        let (user, mut script) = (self.user.as_str(), Script::default());
        let delete = dialect.delete_by_index("tokens", "tokens_of_user");
        let forget = format!("{delete} WHERE user_id = $1 AND expires_at <= $2");
        let forget = Statement::made(forget);
        script.add(forget.bind(user).bind(self.now.as_millis()));
        let account = Statement::new("SELECT id FROM users WHERE id = $1 AND closed = 0");
        let reads = Reads {
            account: script.add(account.bind(user)),
            origin: self.origin().map(|origin| script.add(origin)),
            others: script.add(self.others()),
        };
        (script, reads)
    }

    /// What finds out how deep it would be.
    fn origin(&self) -> Option<Statement> {
        let user = self.user.as_str();
        match &self.token.origin {
            TokenOrigin::Owner => None,
            TokenOrigin::SignedIn(id) | TokenOrigin::Session(id) => {
                let session = "SELECT id FROM sessions WHERE id = $1 AND user_id = $2";
                Some(Statement::new(session).bind(id.as_str()).bind(user))
            }
            TokenOrigin::Token(id) => {
                let depth = Statement::new(
                    "WITH RECURSIVE up (parent_id, depth) AS (
                        SELECT parent_id, 1 FROM tokens WHERE id = $1 AND user_id = $2
                        UNION ALL SELECT t.parent_id, up.depth + 1
                        FROM up JOIN tokens t ON t.id = up.parent_id WHERE up.depth < $3)
                     SELECT depth FROM up ORDER BY depth DESC LIMIT 1",
                );
                Some(depth.bind(id.as_str()).bind(user).bind(MAX_DEPTH))
            }
        }
    }

    /// What reads how many others the user has; of a session, those that have to make room.
    fn others(&self) -> Statement {
        match &self.token.origin {
            TokenOrigin::Session(session) => Statement::new(
                "SELECT id FROM tokens WHERE session_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3",
            )
            .bind(session.as_str())
            .bind(MAX_OF_SESSION)
            .bind(MAX_OF_SESSION - 1),
            TokenOrigin::Owner | TokenOrigin::SignedIn(_) | TokenOrigin::Token(_) => Statement::new(
                "SELECT COUNT(*) AS owned FROM tokens WHERE user_id = $1 AND session_id IS NULL",
            )
            .bind(self.user.as_str()),
        }
    }

    /// What was read, and the tokens that have to make room.
    fn facts(&self, results: &Results, reads: &Reads) -> Result<(Facts, Vec<String>), StoreError> {
        let origin = reads.origin.as_ref();
        let origin = origin.and_then(|origin| results.rows(origin).next());
        let depth = match (&self.token.origin, origin) {
            (TokenOrigin::Owner, _) => Some(0),
            (TokenOrigin::Token(_), Some(row)) => Some(row.try_get("depth")?),
            (TokenOrigin::SignedIn(_) | TokenOrigin::Session(_), Some(_)) => Some(0),
            (_, None) => None,
        };
        let (mut owned, mut too_many) = (0, vec![]);
        for row in results.rows(&reads.others) {
            match &self.token.origin {
                TokenOrigin::Session(_) => too_many.push(row.try_get("id")?),
                TokenOrigin::Owner | TokenOrigin::SignedIn(_) | TokenOrigin::Token(_) => {
                    owned = row.try_get("owned")?;
                }
            }
        }
        Ok((Facts { depth, owned }, too_many))
    }

    fn insert(&self) -> Statement {
        let token = &self.token;
        let (session, parent) = match &token.origin {
            TokenOrigin::Owner | TokenOrigin::SignedIn(_) => (None, None),
            TokenOrigin::Session(id) => (Some(id.as_str()), None),
            TokenOrigin::Token(id) => (None, Some(id.as_str())),
        };
        Statement::new(
            "INSERT INTO tokens (id, user_id, name, scope_api, scope_mqtt, token_hash, created_at, expires_at,
                session_id, parent_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(self.id.as_str())
        .bind(self.user.as_str())
        .bind(token.name.as_str())
        .bind(i64::from(token.scopes.api))
        .bind(i64::from(token.scopes.mqtt))
        .bind(token.token_hash.as_str())
        .bind(self.now.as_millis())
        .bind(token.expires_at.map(Timestamp::as_millis))
        .bind(session)
        .bind(parent)
    }
}

impl Operation for Create {
    type Output = CreateToken;

    fn lock(&self, locks: &mut Locks) {
        // With it, how many tokens there are.
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<CreateToken, StoreError> {
        let (script, reads) = self.reads(tx.dialect());
        let results = tx.run(script).await?;
        let (facts, too_many) = self.facts(&results, &reads)?;
        if let Some(refusal) = refusal(&facts) {
            return Ok(refusal);
        }
        if results.rows(&reads.account).next().is_none() {
            return Err(StoreError::UnknownUser);
        }
        end_tokens(tx, &too_many, self.now).await?;
        tx.execute(self.insert()).await?;
        Ok(CreateToken::Created(Token {
            id: self.id.clone(),
            name: self.token.name.clone(),
            scopes: self.token.scopes,
            created_at: self.now,
            expires_at: self.token.expires_at,
            last_used_at: None,
        }))
    }

    fn changes(output: &CreateToken) -> bool {
        matches!(output, CreateToken::Created(_))
    }

    fn makes(&self) -> Option<&str> {
        Some(self.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_if_its_origin_lasts_and_neither_depth_nor_number_is_at_its_limit() {
        let cases = [
            (None, 0, Some(CreateToken::OriginEnded)),
            (None, MAX_TOKENS, Some(CreateToken::OriginEnded)),
            (Some(MAX_DEPTH), 0, Some(CreateToken::TooDeep)),
            (Some(MAX_DEPTH - 1), MAX_TOKENS, Some(CreateToken::TooMany)),
            (Some(MAX_DEPTH - 1), MAX_TOKENS - 1, None),
            (Some(0), 0, None),
        ];
        for (depth, owned, expected) in cases {
            assert_eq!(
                refusal(&Facts { depth, owned }),
                expected,
                "{depth:?}, {owned}"
            );
        }
    }
}
