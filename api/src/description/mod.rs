//! The OpenAPI document: what poem-openapi writes, and what it leaves out.
//!
//! Types describe themselves (see `fields`), and so do operations, which name the codes of their failures. What is added
//! here holds for every operation, so that a new one is documented by being there.

mod failures;
mod links;
mod numbers;
mod parameters;
mod schemas;

use poem_openapi::{OpenApi, OpenApiService, Webhook};
use serde_json::{Map, Value};

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
    numbers::complete(&mut document);
    let mut components = document["components"].take();
    schemas::complete(&mut components["schemas"], message_bytes);
    let mut shared = Map::new();
    for (path, method, operation) in operations(&mut document) {
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        parameters
            .into_iter()
            .flatten()
            .for_each(parameters::complete);
        describe(&mut operation["responses"], &components["schemas"]);
        failures::by_status(&path, &method, operation, &mut shared);
    }
    links::add(operations(&mut document));
    components["responses"] = shared.into();
    document["components"] = components;
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| TAGS.iter().position(|name| tag["name"] == *name));
    }
    document
}

/// poem-openapi describes no response whose type is the body's: it gets the description of its schema.
fn describe(responses: &mut Value, schemas: &Value) {
    for (_, response) in responses.as_object_mut().into_iter().flatten() {
        let schema = response["content"]["application/json"]["schema"]["$ref"].as_str();
        let name = schema.and_then(|schema| schema.strip_prefix("#/components/schemas/"));
        if let Some(name) = name
            && response["description"] == ""
        {
            response["description"] = schemas[name]["description"].clone();
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
