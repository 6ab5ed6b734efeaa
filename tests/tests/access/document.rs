//! The operations of the API, as its description lists them.

use herald_tests::{Herald, Http};
use reqwest::Method;
use serde_json::Value;

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Its `operationId`.
    pub(crate) id: String,
    pub(crate) method: Method,
    /// Below `/api/v1`, with `{placeholders}`.
    pub(crate) path: String,
    /// Whether one has to be signed in.
    pub(crate) secured: bool,
}

impl Operation {
    /// Whether it is for administrators.
    pub(crate) fn is_admin(&self) -> bool {
        self.path.starts_with("/admin/")
    }
}

/// All operations that the server describes.
pub(crate) async fn operations(herald: &Herald) -> Vec<Operation> {
    let nobody = Http::anonymous(herald);
    let document = nobody.request(Method::GET, "/api/openapi.json");
    let document = nobody.send(document).await.expect(200);
    let mut all = vec![];
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = method.to_uppercase();
            let security = operation["security"].as_array();
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: Method::from_bytes(method.as_bytes()).unwrap(),
                path: path.clone(),
                secured: security.is_some_and(|schemes: &Vec<Value>| !schemes.is_empty()),
            });
        }
    }
    assert!(all.len() > 30, "{all:?}");
    all
}
