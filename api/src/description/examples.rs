//! Examples of bodies, made of those of their properties.

use serde_json::{Map, Value};

use super::references::referred;

/// How deep schemas may be nested.
const MAX_DEPTH: usize = 16;

/// Gives the bodies of `operation`, of requests and of responses, an example.
pub(super) fn add(operation: &mut Value, schemas: &Value) {
    if let Some(content) = operation.pointer_mut("/requestBody/content") {
        if let Some(content) = content.as_object_mut()
            && let Some(json) = content.remove("application/json; charset=utf-8")
        {
            content.insert("application/json".to_owned(), json);
        }
        of_content(content, schemas);
    }
    let responses = operation["responses"].as_object_mut();
    for (_, response) in responses.into_iter().flatten() {
        if let Some(content) = response.get_mut("content") {
            of_content(content, schemas);
        }
    }
}

fn of_content(content: &mut Value, schemas: &Value) {
    for (_, media) in content.as_object_mut().into_iter().flatten() {
        if media.get("example").is_none() {
            media["example"] = of(&media["schema"], schemas, MAX_DEPTH);
        }
    }
}

/// A value that `schema` allows.
fn of(schema: &Value, schemas: &Value, depth: usize) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    if let Some(name) = referred(schema) {
        return of(&schemas[name], schemas, depth);
    }
    for choice in ["allOf", "oneOf", "anyOf"] {
        if let Some(first) = schema[choice].get(0) {
            return of(first, schemas, depth);
        }
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let example = properties.map(|(name, property)| {
                let example = of(property, schemas, depth);
                (name.clone(), example)
            });
            Value::Object(example.collect::<Map<_, _>>())
        }
        Some("array") => vec![of(&schema["items"], schemas, depth)].into(),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| 0.into()),
        Some("boolean") => schema
            .get("default")
            .cloned()
            .unwrap_or_else(|| false.into()),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_example_is_made_of_those_of_the_properties() {
        let schemas = json!({
            "List": {"type": "object", "properties": {
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                "next": {"type": "string", "nullable": true, "example": null},
            }},
            "Item": {"type": "object", "properties": {
                "id": {"type": "string", "example": "7"},
                "role": {"allOf": [{"$ref": "#/components/schemas/Role"}], "nullable": true},
                "count": {"type": "integer", "minimum": 1},
            }},
            "Role": {"type": "string", "enum": ["user", "admin"]},
        });
        assert_eq!(
            of(&json!({"$ref": "#/components/schemas/List"}), &schemas, 9),
            json!({"items": [{"id": "7", "role": "user", "count": 1}], "next": null})
        );
    }
}
