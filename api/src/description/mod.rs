//! The OpenAPI document: what poem-openapi writes, and what it leaves out.
//!
//! Types describe themselves (see `fields`), and so do operations, which name the codes of their failures. What is added
//! here holds for every operation, so that a new one is documented by being there.

mod examples;
mod failures;
mod links;
mod numbers;
mod parameters;
mod references;
mod schemas;
pub(crate) mod tags;

use poem_openapi::{OpenApi, OpenApiService, Webhook};
use serde_json::{Map, Value};

use references::referred;

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
    // JSON has no other charset (RFC 8259, section 11).
    let text = api.spec();
    let text = text.replace("application/json; charset=utf-8", "application/json");
    let mut document: Value = serde_json::from_str(&text).expect("poem-openapi writes valid JSON");
    schemas::complete(&mut document, message_bytes);
    let mut components = document["components"].take();
    let mut shared = Map::new();
    for (path, method, operation) in operations(&mut document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let id = id.to_owned();
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            parameters::complete(parameter);
        }
        describe(&mut operation["responses"], &components["schemas"]);
        failures::by_status(&path, &method, operation, &mut shared);
        links::add(&id, operation);
        examples::add(operation, &components["schemas"]);
    }
    components["responses"] = shared.into();
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

/// poem-openapi describes no response whose type is the body's: it gets the description of its schema.
fn describe(responses: &mut Value, schemas: &Value) {
    for response in responses
        .as_object_mut()
        .into_iter()
        .flatten()
        .map(|(_, r)| r)
    {
        let schema = referred(&response["content"]["application/json"]["schema"]);
        if let Some(schema) = schema
            && response["description"] == ""
        {
            response["description"] = schemas[schema]["description"].clone();
        }
    }
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
