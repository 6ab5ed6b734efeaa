//! What holds for all schemas of objects.

use serde_json::{Value, json};

/// Closes the schemas, which poem-openapi cannot say, and says which properties may be null.
pub(super) fn complete(schemas: &mut Value, message_bytes: usize) {
    for (_, schema) in schemas.as_object_mut().into_iter().flatten() {
        if schema["type"] == "object" {
            schema["additionalProperties"] = false.into();
            allow_null(schema);
        }
    }
    // Known only now. A character is at least a byte: what is longer is never accepted.
    schemas["SendMessage"]["properties"]["body"]["maxLength"] = message_bytes.into();
}

/// A property that is not required is an `Option` or has a default; null stands for its absence.
fn allow_null(schema: &mut Value) {
    let required = schema["required"].clone();
    let is_required = |name: &str| {
        required
            .as_array()
            .is_some_and(|names| names.iter().any(|required| required == name))
    };
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if is_required(name) {
            continue;
        }
        // A reference cannot have siblings (OpenAPI 3.0.3, section 4.7.23).
        if property.get("$ref").is_some() {
            *property = json!({"allOf": [property.take()]});
        }
        property["nullable"] = true.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_properties_may_be_null_and_others_not() {
        let mut schema = json!({"required": ["id"], "properties": {
            "id": {"type": "string"},
            "flag": {"type": "boolean", "default": false},
            "role": {"$ref": "#/components/schemas/Role"},
        }});
        allow_null(&mut schema);
        assert_eq!(
            schema["properties"],
            json!({
                "id": {"type": "string"},
                "flag": {"type": "boolean", "default": false, "nullable": true},
                "role": {"allOf": [{"$ref": "#/components/schemas/Role"}], "nullable": true},
            })
        );
    }
}
