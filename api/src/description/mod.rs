//! The OpenAPI document: what poem-openapi writes, and what it leaves out.
//!
//! Types describe themselves: see `fields`. How operations fail and what a response looks like is added here, from tables
//! and by rules that hold for every operation, so that a new one is documented by being there.

mod examples;
pub(crate) mod failures;
mod links;
mod numbers;
mod parameters;
mod references;
mod responses;
mod schemas;
pub(crate) mod tags;

use poem_openapi::{OpenApi, OpenApiService, Webhook};
use serde_json::Value;

/// The order in which a reader needs them.
const TAGS: [&str; 6] = [
    "auth",
    "messages",
    "notifications",
    "tokens",
    "admin",
    "access",
];

/// The whole document. `message_bytes` is the longest message that is accepted.
pub(crate) fn of<T: OpenApi, W: Webhook>(
    api: &OpenApiService<T, W>,
    message_bytes: usize,
) -> Value {
    let mut document: Value =
        serde_json::from_str(&api.spec()).expect("poem-openapi writes valid JSON");
    schemas::complete(&mut document, message_bytes);
    let mut components = document["components"].take();
    for (path, method, operation) in operations(&mut document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let id = id.to_owned();
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            parameters::complete(parameter);
        }
        responses::complete(&path, &method, operation, &mut components);
        links::add(&id, operation);
        examples::add(operation, &components["schemas"]);
    }
    document["components"] = components;
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| {
            let position = TAGS.iter().position(|name| tag["name"] == *name);
            position.unwrap_or(TAGS.len())
        });
    }
    numbers::make_whole(&mut document);
    document
}

/// Each operation with its path and its method.
fn operations(document: &mut Value) -> Vec<(String, String, &mut Value)> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let mut all = Vec::new();
    for (path, methods) in paths.into_iter().flatten() {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            all.push((path.clone(), method.clone(), operation));
        }
    }
    all
}
