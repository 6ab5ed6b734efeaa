//! Who is signed in, in either way.

use poem::http::Method;
use serde_json::json;

use super::call::{Api, Call};

/// A signed-in browser whose page sends the CSRF token.
pub(crate) struct Browser<'a> {
    pub(super) endpoint: &'a Api,
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
        let call = Call::new(self.endpoint, method.clone(), path).header("cookie", &self.cookie);
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
    pub(super) endpoint: &'a Api,
    pub(super) authorization: String,
}

impl<'a> Program<'a> {
    pub(crate) fn get(&self, path: &str) -> Call<'a> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'a> {
        self.call(Method::POST, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'a> {
        let call = Call::new(self.endpoint, method, path);
        call.header("authorization", &self.authorization)
    }
}
