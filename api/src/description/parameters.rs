//! What holds for all parameters.

use serde_json::{Value, json};

use super::numbers;
use crate::fields::MAX_PARAMETER;

/// Completes a parameter: it takes over the description and the example of its type, and in a query the limits of `strict`.
pub(super) fn complete(parameter: &mut Value) {
    let in_query = parameter["in"] == "query";
    let schema = &mut parameter["schema"];
    numbers::complete(schema);
    let Some(facts) = schema.as_object_mut() else {
        return;
    };
    if facts.get("type") == Some(&json!("string")) && in_query {
        for (limit, value) in [
            ("minLength", json!(1)),
            ("maxLength", json!(MAX_PARAMETER)),
            ("pattern", json!("^[!-~]+$")),
        ] {
            facts.entry(limit).or_insert(value);
        }
    }
    let has_default = facts.contains_key("default");
    let (description, example) = (facts.remove("description"), facts.remove("example"));
    if let Some(description) = description
        && parameter.get("description").is_none()
    {
        parameter["description"] = description;
    }
    let Some(example) = example else { return };
    if parameter["required"] == true {
        parameter["example"] = example;
    } else if !has_default {
        // Swagger UI would fill it in, and a list with every filter set shows nothing.
        let example = example
            .as_str()
            .map_or_else(|| example.to_string(), str::to_owned);
        let description = parameter["description"].as_str().unwrap_or_default();
        parameter["description"] = format!("{description} For example `{example}`.").into();
    }
}
