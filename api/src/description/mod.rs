//! The OpenAPI document: what poem-openapi knows, and what it leaves out.
//!
//! poem-openapi describes types. How operations fail, what the limits of a value are and what an answer looks like is
//! added here, from tables and by rules that hold for every operation, so that a new one is documented by being there.

mod examples;
pub(crate) mod failures;
mod links;
mod properties;
mod responses;
mod schemas;
pub(crate) mod tags;
pub(crate) mod text;

use poem_openapi::{OpenApi, OpenApiService, Webhook};
use serde_json::{Map, Value, json};

pub(crate) use properties::MAX_PARAMETER;

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
            properties::describe_parameter(&id, parameter);
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
    whole_numbers(&mut document);
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

/// The name of the schema that this refers to.
fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// A schema that can be added to. A reference cannot have siblings (OpenAPI 3.0.3, section 4.7.23).
fn open(schema: &mut Value) -> Option<&mut Map<String, Value>> {
    if schema.get("$ref").is_some() {
        let reference = schema.take();
        *schema = json!({"allOf": [reference]});
    }
    schema.as_object_mut()
}

/// poem-openapi writes limits as floating-point numbers.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < 9e15);
            if let Some(whole) = whole {
                // Exact below 2^53.
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_whole_numbers() {
        let mut schema = json!({"minimum": 1.0, "items": [{"maximum": 0.5}]});
        whole_numbers(&mut schema);
        assert_eq!(
            schema.to_string(),
            r#"{"items":[{"maximum":0.5}],"minimum":1}"#
        );
    }
}
