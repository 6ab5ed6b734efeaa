//! A right that is taken away while something happens.

use herald_tests::{
    Http, Version,
    raw::{Connect, Link, Lost},
    until, within,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

/// A connection of the administrator, with a token that will be taken away.
pub(crate) struct Doomed {
    admin: Http,
    token: String,
    link: Link,
}

/// The first answer that is one of these.
async fn answered(
    http: &Http,
    method: Method,
    path: &str,
    body: &Value,
    wanted: &[StatusCode],
) -> Response {
    until("an answer", async || {
        let request = http.api(method.clone(), path).json(body);
        let answer = request.send().await.ok()?;
        wanted.contains(&answer.status()).then_some(answer)
    })
    .await
}

impl Doomed {
    /// Connects to `mqtt`, as long as nothing happens.
    pub(crate) async fn enter(admin: &Http, mqtt: &str) -> Self {
        let new = json!({"name": "doomed", "scopes": ["mqtt"]});
        let made = answered(admin, Method::POST, "/tokens", &new, &[StatusCode::CREATED]).await;
        let made: Value = made.json().await.unwrap();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let connect = Connect::of("admin")
            .client_id("doomed")
            .password(&text("token"));
        let link = until("the server to let it in", async || {
            let (link, connack) = Link::connect(mqtt, Version::V5, &connect).await.ok()?;
            (connack.code == 0).then_some(link)
        })
        .await;
        Self {
            admin: admin.clone(),
            token: text("id"),
            link,
        }
    }

    /// Takes the token away, however often that has to be asked for.
    pub(crate) async fn revoke(&self) {
        let path = format!("/tokens/{}", self.token);
        let done = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
        answered(&self.admin, Method::DELETE, &path, &json!({}), &done).await;
    }

    /// The connection ends, whatever has happened to its server.
    pub(crate) async fn has_ended(mut self) {
        let ended = async { while self.link.packet().await != Err(Lost) {} };
        within("the end of a connection whose token was taken away", ended).await;
    }
}
