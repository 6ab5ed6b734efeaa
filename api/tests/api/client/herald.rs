//! A running API.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use herald_acl::{Role, Username};
use herald_api::{Accounts, ApiOptions, Audit, InForce, SendLimits, Sends, Throughput};
use herald_store::{AuditFilter, Store, StoreOptions, User};
use parking_lot::Mutex;
use poem::{
    EndpointExt as _,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    call::{Answer, Api, Call, document},
    users::{Browser, Program},
};
use crate::document::Document;

pub(crate) const PASSWORD: &str = "correct horse";

/// The API on a database of its own.
pub(crate) struct Herald {
    endpoint: Api,
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    /// As MQTT uses it, too.
    pub(crate) sends: Arc<Sends>,
    pub(crate) throughput: Arc<Throughput>,
    pub(crate) audit: Arc<Audit>,
    /// Whose account was closed, in order.
    pub(crate) forgotten: Arc<Mutex<Vec<String>>>,
    /// What the readiness closure returns.
    pub(crate) broker_ready: Arc<AtomicBool>,
    dir: TempDir,
}

impl Herald {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With other options than the default ones.
    pub(crate) async fn start_with(change: impl FnOnce(&mut ApiOptions)) -> Self {
        let waiting = StoreOptions::DEFAULT_WAITING_MESSAGES;
        Self::begin(
            SendLimits::default(),
            waiting,
            StoreOptions::DEFAULT_STORED_BYTES,
            change,
        )
        .await
    }

    /// With so many bytes of one user at most.
    pub(crate) async fn start_small(stored_bytes: u64) -> Self {
        let waiting = StoreOptions::DEFAULT_WAITING_MESSAGES;
        Self::begin(SendLimits::default(), waiting, stored_bytes, |_| {}).await
    }

    /// With other limits than the default ones, also of messages that wait.
    pub(crate) async fn start_limited(limits: SendLimits, waiting_messages: u32) -> Self {
        let stored = StoreOptions::DEFAULT_STORED_BYTES;
        Self::begin(limits, waiting_messages, stored, |_| {}).await
    }

    /// With messages of so many bytes at most.
    pub(crate) async fn start_short(message_bytes: usize) -> Self {
        let limits = SendLimits {
            message_bytes,
            ..SendLimits::default()
        };
        Self::start_limited(limits, StoreOptions::DEFAULT_WAITING_MESSAGES).await
    }

    async fn begin(
        limits: SendLimits,
        waiting_messages: u32,
        stored_bytes: u64,
        change: impl FnOnce(&mut ApiOptions),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            waiting_messages,
            stored_bytes,
            ..StoreOptions::sqlite(&dir.path().join("herald.db"))
        };
        let store = Store::open(options).await.unwrap();
        let accounts = Arc::new(Accounts::new(store.clone()));
        let broker_ready = Arc::new(AtomicBool::new(true));
        let ready = Arc::clone(&broker_ready);
        let mut options = ApiOptions::new(
            Arc::new(|_, _| Box::pin(async {})),
            Arc::new(move || {
                let ready = ready.load(Ordering::Relaxed);
                Box::pin(async move { ready.then_some(()).ok_or("Not yet.") })
            }),
        );
        let forgotten = Arc::<Mutex<Vec<String>>>::default();
        let forget = Arc::clone(&forgotten);
        options.forget_user = Arc::new(move |name| {
            forget.lock().push(name.to_string());
            Box::pin(async { Ok(InForce::Everywhere) })
        });
        change(&mut options);
        let throughput = Arc::clone(&options.throughput);
        let audit = Arc::clone(&options.audit);
        let sends = Arc::new(Sends::new(store.clone(), limits));
        let routes = herald_api::routes(
            store.clone(),
            Arc::clone(&accounts),
            Arc::clone(&sends),
            options,
        );
        Self {
            endpoint: routes.boxed(),
            store,
            accounts,
            sends,
            throughput,
            audit,
            forgotten,
            broker_ready,
            dir,
        }
    }

    /// For a real port.
    pub(crate) fn into_endpoint(self) -> (Api, TempDir) {
        (self.endpoint, self.dir)
    }

    /// The database, as another process has it.
    pub(crate) async fn elsewhere(&self) -> Store {
        let options = StoreOptions::sqlite(&self.dir.path().join("herald.db"));
        Store::open(options).await.unwrap()
    }

    pub(crate) async fn user(&self, name: &str) -> User {
        self.account(name, Role::User).await
    }

    pub(crate) async fn account(&self, name: &str, role: Role) -> User {
        let name = Username::parse(name).unwrap();
        self.accounts
            .create_user(name, PASSWORD, role)
            .await
            .unwrap()
    }

    /// Creates an account and signs it in.
    pub(crate) async fn browser(&self, name: &str) -> Browser<'_> {
        self.user(name).await;
        self.sign_in(name).await
    }

    /// Creates an administrator and signs it in.
    pub(crate) async fn admin(&self) -> Browser<'_> {
        self.account("root", Role::Admin).await;
        self.sign_in("root").await
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Browser<'_> {
        let answer = self.login(name, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
        Browser {
            endpoint: &self.endpoint,
            cookie: answer.cookie(),
            csrf: answer.json["csrf_token"].as_str().unwrap().to_owned(),
        }
    }

    /// Somebody who sends this token.
    pub(crate) fn bearer(&self, token: &str) -> Program<'_> {
        Program {
            endpoint: &self.endpoint,
            authorization: format!("Bearer {token}"),
        }
    }

    /// What the audit says of `action`, the newest first: all but times, ids and addresses.
    pub(crate) async fn audited(&self, action: &str) -> Vec<Value> {
        // What was only noted is written.
        self.audit.run(self.store.clone(), async {}).await;
        let filter = AuditFilter {
            action: Some(action.to_owned()),
            actor: None,
        };
        let listed = self.store.audit(&filter, None, 100).await.unwrap().items;
        let entries = listed.into_iter().map(|stored| {
            let entry = stored.entry;
            json!([entry.actor, entry.target, entry.detail, entry.count])
        });
        entries.collect()
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Answer {
        self.post("/api/v1/auth/login")
            .json(serde_json::json!({"username": name, "password": password}))
            .send()
            .await
    }

    /// The OpenAPI document, which is the same for all but for the length of a message.
    pub(crate) async fn document(&self) -> &'static Document {
        document(&self.endpoint).await
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.endpoint, method, path)
    }
}
