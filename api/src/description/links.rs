//! What to do next with what an operation has made or listed (OpenAPI 3.0.3, section 4.7.20). poem-openapi has no links.

use serde_json::{Map, Value, json};

/// Adds the links to all operations: from one that makes something to those that have it in their path.
pub(super) fn add(operations: Vec<(String, String, &mut Value)>) {
    let targets: Vec<_> = operations
        .iter()
        .map(|(path, _, operation)| (path.clone(), operation["operationId"].clone()))
        .collect();
    for (path, _, operation) in operations {
        let has = |status| operation["responses"].get(status).is_some();
        let (status, made) = match operation["operationId"].as_str() {
            // Senders make the messages that administrators list.
            Some("listAllMessages") => ("200", "/items/0"),
            _ if has("201") => ("201", ""),
            _ if has("202") => ("202", ""),
            _ => continue,
        };
        let mut links = Map::new();
        for (target, id) in &targets {
            let below = target
                .strip_prefix(&path)
                .and_then(|rest| rest.strip_prefix("/{"));
            let Some((parameter, _)) = below.and_then(|rest| rest.split_once('}')) else {
                continue;
            };
            let field = match parameter {
                "name" => "username",
                other => other,
            };
            let value = format!("$response.body#{made}/{field}");
            let link = json!({"operationId": id, "parameters": {parameter: value}});
            links.insert(id.as_str().unwrap_or_default().to_owned(), link);
        }
        if !links.is_empty() {
            operation["responses"][status]["links"] = links.into();
        }
    }
}
