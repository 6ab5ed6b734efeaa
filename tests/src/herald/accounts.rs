//! Those who use the server over HTTP.

use serde_json::json;

use super::Herald;
use crate::{http::Http, names::password};

impl Herald {
    /// A fresh server that processes messages at once, with ordinary accounts for `users`.
    pub async fn with_users(users: &[&str]) -> Self {
        Self::with_users_and(users, &[]).await
    }

    /// The same, with these settings.
    pub async fn with_users_and(users: &[&str], settings: &[(&str, &str)]) -> Self {
        let herald = Self::start_with(settings).await;
        let admin = herald.http("admin").await;
        admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
        for user in users {
            admin.create_user(user, "user").await;
        }
        herald
    }

    /// A client that is signed in.
    pub async fn http(&self, username: &str) -> Http {
        let name = self.name(username);
        Http::sign_in(self, &name, &password(&name)).await
    }
}
