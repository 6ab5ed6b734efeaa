mod forgetting;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::FutureExt as _;
use herald_acl::{Actions, Effect, FilterTemplate, Principal, Role, Subject, TopicName, Username};
use herald_api::InForce;
use herald_store::{
    CreateRule, CreateToken, CreateUser, NewToken, RuleContent, RuleId, Scopes, StoreOptions,
    Timestamp, TokenOrigin, User, UserUpdate,
};
use parking_lot::Mutex;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::nodes::{RightsEverywhere, TellNodes};

/// How long anything may take. Far longer than anything takes.
const LIMIT: Duration = Duration::from_secs(10);

/// Records what it is to enforce.
#[derive(Clone, Default)]
struct Recorder {
    policies: Arc<Mutex<Vec<Policy>>>,
    revoked: Arc<Mutex<Vec<(String, Revoked)>>>,
    forgotten: Arc<Mutex<Vec<String>>>,
    may_forget: Arc<watch::Sender<bool>>,
    went_on: Arc<AtomicU32>,
}

impl Enforce for Recorder {
    fn set_policy(&self, policy: Policy) {
        self.policies.lock().push(policy);
    }

    fn revoke(&self, username: &Username, revoked: &Revoked) {
        let revoked = (username.to_string(), revoked.clone());
        self.revoked.lock().push(revoked);
    }

    fn forget(&self, username: &Username) -> BoxFuture<'static, ()> {
        self.forgotten.lock().push(username.to_string());
        let mut may = self.may_forget.subscribe();
        async move {
            let _ = may.wait_for(|may| *may).await;
        }
        .boxed()
    }

    fn go_on(&self) {
        self.went_on.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder {
    fn take(&self) -> (usize, Vec<(String, Revoked)>) {
        let policies = std::mem::take(&mut *self.policies.lock()).len();
        (policies, std::mem::take(&mut *self.revoked.lock()))
    }
}

struct Db {
    dir: TempDir,
    store: Store,
}

impl Db {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let store = Store::open(options).await.unwrap();
        Self { dir, store }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("herald.db")
    }

    async fn user(&self, username: &str) -> User {
        let username = Username::parse(username).unwrap();
        let now = Timestamp::now();
        let created = self.store.create_user(&username, Role::User, "hash", now);
        match created.await.unwrap() {
            CreateUser::Created(user) => user,
            CreateUser::Taken => panic!("{username} is taken"),
        }
    }

    async fn allow(&self, filter: &str) -> RuleId {
        let rule = RuleContent {
            subject: Subject::Everyone,
            actions: Actions::Publish,
            effect: Effect::Allow,
            filter: FilterTemplate::parse(filter).unwrap(),
            description: None,
        };
        match self.store.create_rule(rule, Timestamp::now()).await {
            Ok(CreateRule::Created(made)) => RuleId::from_string(made.rule.id),
            other => panic!("{other:?}"),
        }
    }

    /// Runs a statement beside the server, as an operator would.
    async fn by_hand(&self, sql: &'static str) {
        let url = format!("sqlite://{}", self.file().display());
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        conn.execute(sql).await.unwrap();
        conn.close().await.unwrap();
    }
}

fn alone() -> Arc<Standing> {
    Arc::new(Standing::alone())
}

fn allows(policy: &Policy, topic: &str) -> bool {
    let username = Username::parse("bob").unwrap();
    let principal = Principal {
        username: &username,
        role: Role::User,
        client_id: "phone",
    };
    let topic = TopicName::parse(topic).unwrap();
    policy.publish(&principal, &topic).is_ok()
}

#[tokio::test]
async fn the_rules_of_the_database_are_in_force_at_the_start() {
    let db = Db::new().await;
    db.allow("lamps/#").await;
    let (policy, mut rights) = RightsWatch::load(&db.store).await.unwrap();
    assert!(allows(&policy, "lamps/1") && allows(&policy, "users/bob/messages"));
    let recorder = Recorder::default();
    rights.follow(&recorder).await.unwrap();
    assert_eq!(recorder.take(), (0, vec![]), "there is nothing new");
}

#[tokio::test]
async fn a_change_of_the_rules_puts_all_of_them_in_force_once() {
    let db = Db::new().await;
    let (_, mut rights) = RightsWatch::load(&db.store).await.unwrap();
    let recorder = Recorder::default();
    let lamps = db.allow("lamps/#").await;
    db.allow("doors/#").await;
    rights.follow(&recorder).await.unwrap();
    assert_eq!(recorder.policies.lock().len(), 1);
    assert!(allows(&recorder.policies.lock()[0], "lamps/1"));
    assert!(allows(&recorder.policies.lock()[0], "doors/1"));
    recorder.take();
    let deleted = db.store.delete_rule(&lamps, Timestamp::now()).await;
    assert!(deleted.unwrap());
    rights.follow(&recorder).await.unwrap();
    assert!(!allows(&recorder.policies.lock()[0], "lamps/1"));
    assert!(allows(&recorder.policies.lock()[0], "doors/1"));
    recorder.take();
    rights.follow(&recorder).await.unwrap();
    assert_eq!(recorder.take(), (0, vec![]));
}

#[tokio::test]
async fn sessions_lose_the_rights_that_their_users_lose() {
    let db = Db::new().await;
    let bob = db.user("bob").await;
    let (_, mut rights) = RightsWatch::load(&db.store).await.unwrap();
    let recorder = Recorder::default();
    let now = Timestamp::now();
    let scopes = Scopes {
        api: false,
        mqtt: true,
    };
    let token = NewToken {
        name: "phone".into(),
        scopes,
        token_hash: "hash".into(),
        expires_at: None,
        origin: TokenOrigin::Owner,
    };
    let CreateToken::Created(token) = db.store.create_token(&bob.id, token, now).await.unwrap()
    else {
        panic!("it can be made");
    };
    db.store
        .revoke_token(&bob.id, &token.id, now)
        .await
        .unwrap();
    db.store
        .set_password(&bob.id, "new", None, now)
        .await
        .unwrap();
    let disable = UserUpdate {
        disabled: Some(true),
        ..UserUpdate::default()
    };
    db.store.update_user(&bob.id, disable, now).await.unwrap();
    rights.follow(&recorder).await.unwrap();
    let expected = [
        Revoked::Token(token.id.as_str().into()),
        Revoked::Password,
        Revoked::User,
    ]
    .map(|revoked| ("bob".to_owned(), revoked));
    assert_eq!(recorder.take(), (0, expected.into()));
    rights.follow(&recorder).await.unwrap();
    assert_eq!(recorder.take(), (0, vec![]), "only once");
}

#[tokio::test]
async fn a_rule_that_is_none_is_an_error_at_the_start() {
    let db = Db::new().await;
    db.by_hand("UPDATE acl_rules SET filter = 'a/%x' WHERE id = 'builtin-debug'")
        .await;
    let error = RightsWatch::load(&db.store)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("builtin-debug"), "{error}");
    assert!(error.contains("byte 2"), "{error}");
}

#[tokio::test]
async fn a_rule_that_is_none_leaves_the_old_rules_in_force_until_it_is_mended() {
    let db = Db::new().await;
    let (_, mut rights) = RightsWatch::load(&db.store).await.unwrap();
    let recorder = Recorder::default();
    db.by_hand("UPDATE acl_rules SET filter = 'a/%x' WHERE id = 'builtin-debug'")
        .await;
    db.allow("lamps/#").await;
    let bob = db.user("bob").await;
    let new_password = db
        .store
        .set_password(&bob.id, "new", None, Timestamp::now());
    assert!(new_password.await.unwrap());
    for _ in 0..3 {
        let followed = rights.follow(&recorder).await;
        assert!(matches!(followed, Err(StoreError::InvalidRule { .. })));
        rights.note(followed).unwrap();
        assert!(rights.trouble.is_some());
    }
    let password = ("bob".to_owned(), Revoked::Password);
    assert_eq!(
        recorder.take(),
        (0, vec![password]),
        "other changes are made"
    );

    db.by_hand("UPDATE acl_rules SET filter = 'a/x' WHERE id = 'builtin-debug'")
        .await;
    let followed = rights.follow(&recorder).await;
    rights.note(followed).unwrap();
    assert_eq!(rights.trouble, None);
    assert!(allows(&recorder.policies.lock()[0], "lamps/1"));
}

#[tokio::test]
async fn a_database_that_cannot_be_read_is_tried_again() {
    let db = Db::new().await;
    let (_, mut rights) = RightsWatch::load(&db.store).await.unwrap();
    let recorder = Recorder::default();
    let bob = db.user("bob").await;
    let new_password = db
        .store
        .set_password(&bob.id, "new", None, Timestamp::now());
    assert!(new_password.await.unwrap());
    db.by_hand("ALTER TABLE rights_changes RENAME TO elsewhere")
        .await;
    for _ in 0..3 {
        let followed = rights.follow(&recorder).await;
        assert!(followed.is_err());
        rights.note(followed).unwrap();
        assert!(rights.trouble.is_some());
    }
    db.by_hand("ALTER TABLE elsewhere RENAME TO rights_changes")
        .await;
    let followed = rights.follow(&recorder).await;
    rights.note(followed).unwrap();
    assert_eq!(rights.trouble, None);
    let password = ("bob".to_owned(), Revoked::Password);
    assert_eq!(recorder.take(), (0, vec![password]));
}

#[tokio::test]
async fn changes_that_are_lost_end_the_task() {
    let db = Db::new().await;
    let (_, rights) = RightsWatch::load(&db.store).await.unwrap();
    db.by_hand(
        "INSERT INTO rights_changes (id, kind, username, at) VALUES (1, 'user', 'No Name', 0)",
    )
    .await;
    let run = rights.run(Recorder::default(), alone(), CancellationToken::new());
    let ended = timeout(LIMIT, run).await.unwrap();
    assert!(matches!(ended, Err(Lost(StoreError::Invalid { .. }))));
}

#[tokio::test]
async fn the_task_follows_until_it_is_stopped() {
    let db = Db::new().await;
    let (_, rights) = RightsWatch::load(&db.store).await.unwrap();
    let (recorder, stop) = (Recorder::default(), CancellationToken::new());
    let running = tokio::spawn(rights.run(recorder.clone(), alone(), stop.clone()));
    // Another process.
    let other = Store::open(StoreOptions::sqlite(&db.file())).await.unwrap();
    let bob = db.user("bob").await;
    let new_password = other.set_password(&bob.id, "new", None, Timestamp::now());
    assert!(new_password.await.unwrap());
    let acted = async {
        while recorder.revoked.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, acted).await.unwrap();
    stop.cancel();
    let ended = timeout(LIMIT, running).await.unwrap().unwrap();
    assert!(ended.is_ok());
}

/// The watch of a file is not followed by others, but it is told when to look.
#[tokio::test]
async fn a_change_of_this_process_is_looked_for_at_once() {
    let db = Db::new().await;
    let (_, rights) = RightsWatch::load(&db.store).await.unwrap();
    let (recorder, stop) = (Recorder::default(), CancellationToken::new());
    let everywhere =
        RightsEverywhere::of_server(&db.store, rights.in_force(), rights.look(), TellNodes(None));
    let bob = db.user("bob").await;
    let new_password = db
        .store
        .set_password(&bob.id, "new", None, Timestamp::now());
    assert!(new_password.await.unwrap());
    let mut reached = pin!(everywhere.reached_logged());
    let early = timeout(Duration::from_millis(20), reached.as_mut()).await;
    assert!(early.is_err(), "nobody has looked");
    let running = tokio::spawn(rights.run(recorder.clone(), alone(), stop.clone()));
    let reached = timeout(LIMIT, reached).await.unwrap();
    assert_eq!(reached, InForce::Everywhere);
    let password = ("bob".to_owned(), Revoked::Password);
    assert_eq!(recorder.take(), (0, vec![password]));
    stop.cancel();
    timeout(LIMIT, running).await.unwrap().unwrap().unwrap();
    // No session is left then, and nobody is kept waiting.
    db.allow("lamps/#").await;
    let reached = timeout(LIMIT, everywhere.reached_logged()).await.unwrap();
    assert_eq!(reached, InForce::Everywhere);
}

/// A moment in which it was not current must be over when what was held back goes on.
#[tokio::test]
async fn what_was_held_back_goes_on_once_the_database_has_answered() {
    let db = Db::new().await;
    let (_, rights) = RightsWatch::load(&db.store).await.unwrap();
    let (recorder, stop) = (Recorder::default(), CancellationToken::new());
    let standing = Arc::new(Standing::outdated_one());
    assert!(!standing.is_current());
    let running = tokio::spawn(rights.run(recorder.clone(), standing.clone(), stop.clone()));
    timeout(LIMIT, standing.current()).await.unwrap();
    let went_on = async {
        while recorder.went_on.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, went_on).await.unwrap();
    db.by_hand("ALTER TABLE rights_changes RENAME TO elsewhere")
        .await;
    timeout(LIMIT, standing.outdated()).await.unwrap();
    assert!(!standing.is_current());
    stop.cancel();
    timeout(LIMIT, running).await.unwrap().unwrap().unwrap();
}
