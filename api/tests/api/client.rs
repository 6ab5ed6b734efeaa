//! A running API and those who call it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use herald_acl::{Role, Username};
use herald_api::{Accounts, ApiOptions, Audit, SendLimits, Sends, Throughput};
use herald_store::{AuditFilter, Store, StoreOptions, User};
use parking_lot::Mutex;
use poem::{
    Body, Endpoint, EndpointExt, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, Method, StatusCode, header},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::document::{self, Document};

pub(crate) const PASSWORD: &str = "correct horse";

/// The API on a database of its own.
pub(crate) struct Herald {
    endpoint: BoxEndpoint<'static, Response>,
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    /// As MQTT uses it, too.
    pub(crate) sends: Arc<Sends>,
    pub(crate) throughput: Arc<Throughput>,
    pub(crate) audit: Arc<Audit>,
    /// Whose account was closed, in order.
    pub(crate) forgotten: Arc<Mutex<Vec<String>>>,
    /// What the readiness closure answers.
    pub(crate) broker_ready: Arc<AtomicBool>,
    _dir: TempDir,
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
                Box::pin(async move { ready })
            }),
        );
        let forgotten = Arc::<Mutex<Vec<String>>>::default();
        let forget = Arc::clone(&forgotten);
        options.forget_user = Arc::new(move |name| {
            forget.lock().push(name.to_string());
            Box::pin(async { Ok(()) })
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
            _dir: dir,
        }
    }

    /// For a real port.
    pub(crate) fn into_endpoint(self) -> (BoxEndpoint<'static, Response>, TempDir) {
        (self.endpoint, self._dir)
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
            herald: self,
            cookie: answer.cookie(),
            csrf: answer.json["csrf_token"].as_str().unwrap().to_owned(),
        }
    }

    /// Somebody who sends this token.
    pub(crate) fn bearer(&self, token: &str) -> Program<'_> {
        Program {
            herald: self,
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
        let told = listed.into_iter().map(|stored| {
            let entry = stored.entry;
            json!([entry.actor, entry.target, entry.detail, entry.count])
        });
        told.collect()
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Answer {
        self.post("/api/v1/auth/login")
            .json(serde_json::json!({"username": name, "password": password}))
            .send()
            .await
    }

    /// The OpenAPI document, which is the same for all but for the length of a message.
    pub(crate) async fn document(&self) -> &'static Document {
        static DOCUMENT: OnceCell<Document> = OnceCell::const_new();
        let get = async || {
            let answer = self.get("/api/openapi.json").send_unjudged().await;
            Document::new(answer.expect(200).json)
        };
        DOCUMENT.get_or_init(get).await
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            herald: self,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
        .header("host", "herald.example")
    }
}

/// A signed-in browser whose page sends the CSRF token.
pub(crate) struct Browser<'a> {
    herald: &'a Herald,
    /// `name=value`
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl<'a> Browser<'a> {
    pub(crate) fn get(&self, path: &str) -> Call<'a> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'a> {
        self.call(Method::POST, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'a> {
        let call = self
            .herald
            .call(method.clone(), path)
            .header("cookie", &self.cookie);
        if method.is_safe() {
            call
        } else {
            call.header("x-csrf-token", &self.csrf)
        }
    }
}

impl Browser<'_> {
    /// A new token with these scopes, by its text.
    pub(crate) async fn token(&self, scopes: &[&str]) -> String {
        let new = json!({"name": "script", "scopes": scopes});
        let created = self.post("/api/v1/tokens").json(new).send().await;
        let created = created.expect(201).json;
        created["token"].as_str().unwrap().to_owned()
    }
}

/// A program with a token.
pub(crate) struct Program<'a> {
    herald: &'a Herald,
    authorization: String,
}

impl<'a> Program<'a> {
    pub(crate) fn get(&self, path: &str) -> Call<'a> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'a> {
        self.call(Method::POST, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'a> {
        let call = self.herald.call(method, path);
        call.header("authorization", &self.authorization)
    }
}

pub(crate) struct Call<'a> {
    herald: &'a Herald,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

impl Call<'_> {
    /// Sets a header; without effect on others of another name.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// Adds a header to others of its name.
    pub(crate) fn another_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn json(self, json: Value) -> Self {
        self.header("content-type", "application/json")
            .body(json.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it. Panics if the answer is not one that the OpenAPI document describes.
    pub(crate) async fn send(self) -> Answer {
        let (method, path) = (self.method.clone(), self.path.clone());
        let herald = self.herald;
        let answer = self.send_unjudged().await;
        let path = path.split('?').next().unwrap_or_default();
        herald.document().await.judge(
            method.as_str(),
            path,
            &document::Answer {
                status: answer.status.as_u16(),
                header: &|name| answer.header(name).map(str::to_owned),
                body: &answer.text,
            },
        );
        answer
    }

    async fn send_unjudged(self) -> Answer {
        let response = self.send_raw().await;
        let (parts, body) = response.into_parts();
        let bytes = body.into_vec().await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    /// Sends it, and takes nothing of the answer.
    pub(crate) async fn send_raw(self) -> Response {
        let mut request = Request::builder()
            .method(self.method)
            .uri_str(&self.path)
            .body(self.body);
        *request.headers_mut() = self.headers;
        self.herald.endpoint.get_response(request).await
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) text: String,
    /// `null` if the body is not JSON.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    pub(crate) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(|name| name.as_str())
    }

    /// The cookie of this name that was set, with its attributes.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let all = self.headers.get_all("set-cookie").iter();
        let mut all = all.map(|cookie| cookie.to_str().unwrap());
        all.find(|cookie| cookie.split('=').next() == Some(name))
    }

    /// `name=value` of the session's cookie that was set.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.set_cookie("__Host-herald").expect("a cookie");
        cookie.split_once(';').unwrap().0.to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Checks all of a problem (RFC 9457).
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(
            answer.header(header::CONTENT_TYPE.as_str()),
            Some("application/problem+json")
        );
        let problem = answer.json.as_object().expect("an object");
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert_eq!(problem.len(), 5);
        answer
    }
}
