//! What holds for all parameters.

use serde_json::Value;

/// Gives a parameter the description and the example of its type, which poem-openapi leaves in the schema.
pub(super) fn complete(parameter: &mut Value) {
    let Some(schema) = parameter["schema"].as_object_mut() else {
        return;
    };
    let has_default = schema.contains_key("default");
    let (description, example) = (schema.remove("description"), schema.remove("example"));
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
