//! HTTP clients of a server.

use std::{fs, sync::Once};

use reqwest::{
    Certificate, Client, Method, RequestBuilder, StatusCode, header::HeaderMap, redirect::Policy,
};
use serde_json::{Value, json};

use crate::{
    herald::Herald,
    names::password,
    wait::{LIMIT, until},
};

/// A client that trusts the server's own CA, and is somebody or nobody.
#[derive(Clone)]
pub struct Http {
    client: Client,
    base: String,
    auth: Auth,
}

#[derive(Clone)]
enum Auth {
    Nobody,
    Session { csrf_token: String },
    Token(String),
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// All cookies that it sets, as a browser sends them back.
    #[must_use]
    pub fn cookies(&self) -> String {
        let cookies = self.headers.get_all("set-cookie").iter();
        let pairs = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// The body as JSON; panics unless the status is `status`.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Panics unless this is a problem (RFC 9457) with this status and code.
    pub fn expect_problem(&self, status: u16, code: &str) {
        let problem = self.expect(status);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string(), "{problem}");
    }
}

impl Http {
    /// A client that is nobody.
    #[must_use]
    pub fn anonymous(herald: &Herald) -> Self {
        install_provider();
        let mut client = Client::builder();
        // A server without TLS has none.
        let ca = fs::read(herald.ca()).ok();
        let scheme = if ca.is_some() { "https" } else { "http" };
        if let Some(ca) = ca {
            client = client.add_root_certificate(Certificate::from_pem(&ca).unwrap());
        }
        if herald.is_several() {
            // Each request may come to another one.
            client = client.pool_max_idle_per_host(0);
        }
        let client = client
            .cookie_store(true)
            .redirect(Policy::none())
            .timeout(LIMIT)
            // Whatever else is built with it.
            .http1_only()
            .build()
            .unwrap();
        Self {
            client,
            base: format!("{scheme}://{}", herald.http_address()),
            auth: Auth::Nobody,
        }
    }

    /// The same client, cookies and all, of a server that has started again.
    #[must_use]
    pub fn at(&self, herald: &Herald) -> Self {
        self.by_way_of(herald.http_address())
    }

    /// The same client, whose requests go to this address.
    #[must_use]
    pub fn by_way_of(&self, address: &str) -> Self {
        let (scheme, _) = self.base.split_once("://").expect("a URL");
        Self {
            base: format!("{scheme}://{address}"),
            ..self.clone()
        }
    }

    /// A client with a session cookie, which sends the CSRF token with unsafe methods.
    pub async fn sign_in(herald: &Herald, username: &str, password: &str) -> Self {
        let mut http = Self::anonymous(herald);
        let login = json!({"username": username, "password": password});
        let session = http.post("/auth/login", &login).await.expect(200);
        assert_eq!(session["user"]["username"], username);
        http.auth = Auth::Session {
            csrf_token: session["csrf_token"].as_str().unwrap().into(),
        };
        http
    }

    /// A client with an access token.
    #[must_use]
    pub fn bearer(herald: &Herald, token: &str) -> Self {
        Self {
            auth: Auth::Token(token.into()),
            ..Self::anonymous(herald)
        }
    }

    /// The same session without the CSRF token.
    #[must_use]
    pub fn without_csrf(&self) -> Self {
        Self {
            auth: Auth::Nobody,
            ..self.clone()
        }
    }

    /// A request to this path of the server, to be sent by [`send`](Self::send).
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base));
        match &self.auth {
            Auth::Session { csrf_token } if !method.is_safe() => {
                request.header("X-CSRF-Token", csrf_token)
            }
            Auth::Token(token) => request.bearer_auth(token),
            _ => request,
        }
    }

    /// Sends `request`.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// GET a path below `/api/v1`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.api(Method::GET, path)).await
    }

    /// POST to a path below `/api/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.api(Method::POST, path).json(body)).await
    }

    /// PUT to a path below `/api/v1`.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.api(Method::PUT, path).json(body)).await
    }

    /// PATCH a path below `/api/v1`.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.api(Method::PATCH, path).json(body)).await
    }

    /// DELETE a path below `/api/v1`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.api(Method::DELETE, path)).await
    }

    /// A request to a path below `/api/v1`.
    pub fn api(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, &format!("/api/v1{path}"))
    }

    /// Sends a message and returns its id; panics unless it is taken.
    pub async fn send_message(&self, body: &str) -> String {
        let answer = self.post("/messages", &json!({"body": body})).await;
        answer.expect(202)["id"].as_str().unwrap().into()
    }

    /// One of the user's own messages.
    pub async fn message(&self, id: &str) -> Value {
        self.get(&format!("/messages/{id}")).await.expect(200)
    }

    /// Waits until the message is processed.
    pub async fn processed(&self, id: &str) -> Value {
        until("a message to be processed", async || {
            let message = self.message(id).await;
            (message["status"] == "processed").then_some(message)
        })
        .await
    }

    /// Waits until a client has acknowledged the message's notification.
    pub async fn delivered(&self, id: &str) -> Value {
        until("a notification to be acknowledged", async || {
            let message = self.message(id).await;
            message["delivered_at"].is_string().then_some(message)
        })
        .await
    }

    /// A new access token, by its text.
    pub async fn token(&self, scopes: &[&str]) -> String {
        self.token_with_id(scopes).await.1
    }

    /// A new access token, by its id and its text.
    pub async fn token_with_id(&self, scopes: &[&str]) -> (String, String) {
        let token = json!({"name": "test", "scopes": scopes});
        let created = self.post("/tokens", &token).await.expect(201);
        let text = |key: &str| created[key].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }

    /// Sets the delay of messages sent from now on. For administrators.
    pub async fn set_delay(&self, delay: Value) {
        self.put("/admin/delay", &delay).await.expect(200);
    }

    /// Makes a rule that allows this and returns its id. It is in force within a second. For administrators.
    pub async fn allow(&self, subject: &str, action: &str, filter: &str) -> String {
        self.rule("allow", subject, action, filter).await
    }

    /// Makes a rule that denies this and returns its id. It is in force within a second. For administrators.
    pub async fn deny(&self, subject: &str, action: &str, filter: &str) -> String {
        self.rule("deny", subject, action, filter).await
    }

    async fn rule(&self, effect: &str, subject: &str, action: &str, filter: &str) -> String {
        let rule =
            json!({"subject": subject, "action": action, "effect": effect, "filter": filter});
        let made = self.post("/admin/acl/rules", &rule).await.expect(201);
        made["id"].as_str().unwrap().into()
    }

    /// Creates an account with the password of [`password`]. For administrators.
    pub async fn create_user(&self, username: &str, role: &str) {
        let user = json!({"username": username, "password": password(username), "role": role});
        self.post("/admin/users", &user).await.expect(201);
    }
}

/// reqwest finds no cryptography by itself.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A failure means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
