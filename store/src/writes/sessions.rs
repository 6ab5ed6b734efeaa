//! Sessions of browsers that begin, are used and end.

use herald_acl::Username;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::tokens::end_with;
use crate::dialect::Dialect;
use crate::sessions::unused_since;
use crate::statement::{Part, Results, Script, Statement};
use crate::users::parse_username;
use crate::writer::{Channel, Locks, Operation, Transaction};
use crate::{Changed, Session, SessionId, Store, StoreError, Timestamp, User, UserId, bulk};

/// How many sessions a user has at once; another one ends that which began first.
const MAX_SESSIONS: i64 = 100;

/// A session that begins.
#[derive(Clone)]
pub struct NewSession {
    /// The hash of the password that its user has shown: if that has changed meanwhile, no session begins.
    pub password_hash: String,
    /// See [`Session::secret_hash`](crate::Session::secret_hash).
    pub secret_hash: String,
    /// See [`Session::csrf_token`](crate::Session::csrf_token).
    pub csrf_token: String,
    /// The IP address that the browser signed in from.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// See [`Session::expires_at`](crate::Session::expires_at).
    pub expires_at: Timestamp,
}

impl Store {
    /// Begins a session of `user`, and forgets all that have ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written; [`StoreError::UnknownUser`] if there is no such
    /// account any more, if it is disabled, or if it has another password by now.
    pub async fn create_session(
        &self,
        user: &UserId,
        session: NewSession,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(Create {
            id: SessionId::new(),
            user: user.clone(),
            session,
            now,
        })
        .await
    }

    /// Notes that a session was used at `now`. It may be lost if there is too much to write, or in a crash.
    pub fn touch_session(&self, session: &Session, now: Timestamp) {
        self.credentials().touch_session(&session.secret_hash, now);
        let id = session.id.clone();
        self.note(Touch { id, now });
    }

    /// Ends a session of `user`, and the tokens that it needed for MQTT. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn end_session(
        &self,
        user: &UserId,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (user, id) = (user.clone(), id.clone());
        self.write(End { user, id, now }).await
    }
}

/// Ends the sessions of a user, except the one whose secret has the hash `except`, with the tokens that they needed.
pub(crate) async fn end_all(
    tx: &mut Transaction<'_>,
    user: &User,
    except: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut script = Script::default();
    let sessions = script.add(
        Statement::new("SELECT id FROM sessions WHERE user_id = $1 AND secret_hash <> $2")
            .bind(user.id.as_str())
            .bind(except.unwrap_or_default()),
    );
    let sessions = ids(&tx.run(script).await?, &sessions)?;
    end(tx, &user.username, &sessions, now).await
}

/// Ends sessions of a user, with the tokens that they needed. A few statements, whatever their number.
async fn end(
    tx: &mut Transaction<'_>,
    owner: &Username,
    sessions: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let mut script = Script::default();
    let tokens = script.add_all(bulk::of_each(
        "SELECT id FROM tokens WHERE session_id",
        sessions,
    ));
    let tokens = ids(&tx.run(script).await?, &tokens)?;
    let ended = sessions.iter().map(|id| Changed::Credential {
        owner: owner.clone(),
        id: id.clone(),
    });
    end_with(tx, ended.collect(), &tokens, now).await?;
    let mut script = Script::default();
    let delete = format!("{} WHERE id", tx.dialect().delete_by_key("sessions"));
    script.add_all(bulk::of_each(&delete, sessions));
    tx.defer(script).await
}

fn ids(results: &Results, part: &Part) -> Result<Vec<String>, StoreError> {
    let id = |row: &AnyRow| row.try_get("id").map_err(StoreError::from);
    results.rows(part).map(id).collect()
}

struct Create {
    id: SessionId,
    user: UserId,
    session: NewSession,
    now: Timestamp,
}

impl Operation for Create {
    type Output = ();

    fn lock(&self, locks: &mut Locks) {
        // With it, the password, and how many sessions there are.
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let (script, reads) = self.reads(tx.dialect());
        let results = tx.run(script).await?;
        let Some(account) = results.rows(&reads.account).next() else {
            return Err(StoreError::UnknownUser);
        };
        let owner = parse_username(account.try_get("username")?)?;
        end(tx, &owner, &ids(&results, &reads.too_many)?, self.now).await?;
        // After the change of rights: who deletes an account has locked those when it comes to its sessions.
        let mut script = Script::default();
        let mut ended = ids(&results, &reads.ended)?;
        ended.sort_unstable();
        script.add_all(self.forget(&ended, tx.dialect()));
        script.add(self.insert());
        tx.defer(script).await
    }

    fn makes(&self) -> Option<&str> {
        Some(self.id.as_str())
    }
}

/// Where in the results of a script is what a new session has to know.
struct Reads {
    account: Part,
    too_many: Part,
    ended: Part,
}

impl Create {
    /// Reads the account, which of its sessions have to make room, and which of all have ended.
    fn reads(&self, dialect: Dialect) -> (Script, Reads) {
        let mut script = Script::default();
        // Locked first: a password that changes meanwhile ends this session, too, or is seen here.
        let account = format!(
            "SELECT username FROM users WHERE id = $1 AND password_hash = $2 AND disabled = 0{}",
            dialect.for_update()
        );
        let account = script.add(
            Statement::made(account)
                .bind(self.user.as_str())
                .bind(self.session.password_hash.as_str()),
        );
        let too_many = script.add(self.too_many());
        // A DELETE that looks for them would wait for those that others begin and use.
        let ended = script.add_all([
            Statement::new("SELECT id FROM sessions WHERE expires_at <= $1")
                .bind(self.now.as_millis()),
            Statement::new("SELECT id FROM sessions WHERE last_used_at <= $1")
                .bind(unused_since(self.now)),
        ]);
        let reads = Reads {
            account,
            too_many,
            ended,
        };
        (script, reads)
    }

    /// What forgets those that have ended, but for one that was used since. Their tokens ended with them: none lasts longer than
    /// the use of its session.
    fn forget(&self, ended: &[String], dialect: Dialect) -> Vec<Statement> {
        let forget = |rows| {
            let text = format!(
                "{} WHERE (expires_at <= $1 OR last_used_at <= $2) AND id IN ({})",
                dialect.delete_by_key("sessions"),
                bulk::list(rows, 3)
            );
            let statement = Statement::made(text).bind(self.now.as_millis());
            statement.bind(unused_since(self.now))
        };
        bulk::for_each(ended, forget, |statement, id| {
            statement.bind(id.map(String::as_str))
        })
    }

    /// What reads those that have to make room; those that have ended are forgotten anyway.
    fn too_many(&self) -> Statement {
        Statement::new(
            "SELECT id FROM sessions WHERE user_id = $1 AND expires_at > $2 AND last_used_at > $3
             ORDER BY id DESC LIMIT $4 OFFSET $5",
        )
        .bind(self.user.as_str())
        .bind(self.now.as_millis())
        .bind(unused_since(self.now))
        .bind(MAX_SESSIONS)
        .bind(MAX_SESSIONS - 1)
    }

    fn insert(&self) -> Statement {
        let session = &self.session;
        Statement::new(
            "INSERT INTO sessions
                (id, user_id, secret_hash, csrf_token, address, user_agent, created_at, last_used_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.id.as_str())
        .bind(self.user.as_str())
        .bind(session.secret_hash.as_str())
        .bind(session.csrf_token.as_str())
        .bind(session.address.as_str())
        .bind(session.user_agent.as_deref())
        .bind(self.now.as_millis())
        .bind(self.now.as_millis())
        .bind(session.expires_at.as_millis())
    }
}

struct Touch {
    id: SessionId,
    now: Timestamp,
}

impl Operation for Touch {
    type Output = ();

    /// The next use is noted again.
    const DURABLE: bool = false;

    /// In order with all else that is written of a session.
    const CHANNEL: Channel = Channel::Durable;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let touch = Statement::new(
            "UPDATE sessions SET last_used_at = $1 WHERE id = $2 AND last_used_at < $3",
        )
        .bind(self.now.as_millis())
        .bind(self.id.as_str())
        .bind(self.now.as_millis());
        tx.execute(touch).await?;
        Ok(())
    }
}

struct End {
    user: UserId,
    id: SessionId,
    now: Timestamp,
}

impl Operation for End {
    type Output = bool;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let mut script = Script::default();
        let theirs = script.add(
            Statement::new(
                "SELECT u.username FROM sessions s JOIN users u ON u.id = s.user_id
                 WHERE s.id = $1 AND s.user_id = $2",
            )
            .bind(self.id.as_str())
            .bind(self.user.as_str()),
        );
        let results = tx.run(script).await?;
        let Some(row) = results.rows(&theirs).next() else {
            return Ok(false);
        };
        let owner = parse_username(row.try_get("username")?)?;
        end(tx, &owner, &[self.id.to_string()], self.now).await?;
        Ok(true)
    }

    fn changes(ended: &bool) -> bool {
        *ended
    }
}
