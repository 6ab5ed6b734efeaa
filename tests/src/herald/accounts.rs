//! Those who use the server over HTTP.

use serde_json::json;

use super::{Herald, password};
use crate::http::Http;

impl Herald {
    /// A fresh server that processes messages at once, with ordinary accounts for `users`.
    pub async fn with_users(users: &[&str]) -> Self {
        let herald = Self::start().await;
        let admin = herald.http("admin").await;
        admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
        for user in users {
            admin.create_user(user, "user").await;
        }
        herald
    }

    /// A client that is signed in.
    pub async fn http(&self, username: &str) -> Http {
        Http::sign_in(self, username, &password(username)).await
    }
}
