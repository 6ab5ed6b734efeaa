//! The OpenAPI document.

use poem_openapi::{OpenApi, OpenApiService, Webhook};
use serde_json::{Map, Value, json};

/// What poem-openapi knows of `api`, and that optional properties may be null: it leaves that out.
pub(crate) fn of<T: OpenApi, W: Webhook>(api: &OpenApiService<T, W>) -> String {
    let mut document: Value =
        serde_json::from_str(&api.spec()).expect("poem-openapi writes valid JSON");
    let schemas = document.pointer_mut("/components/schemas");
    for schema in schemas.and_then(Value::as_object_mut).into_iter().flatten() {
        allow_null(schema.1);
    }
    format!("{document:#}")
}

/// A property that is neither required nor has a default is an `Option`, whose `None` is written as null.
fn allow_null(schema: &mut Value) {
    let required = schema["required"].clone();
    let is_required = |name: &str| {
        required
            .as_array()
            .is_some_and(|names| names.iter().any(|required| required == name))
    };
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if is_required(name) || property.get("default").is_some() {
            continue;
        }
        if let Some(property) = property.as_object_mut() {
            if property.contains_key("$ref") {
                // A reference cannot have siblings (OpenAPI 3.0.3, section 4.7.23).
                let reference = Value::Object(std::mem::replace(property, Map::new()));
                property.insert("allOf".to_owned(), json!([reference]));
            }
            property.insert("nullable".to_owned(), true.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_properties_may_be_null_and_others_not() {
        let mut schema = json!({
            "required": ["id"],
            "properties": {
                "id": {"type": "string"},
                "flag": {"type": "boolean", "default": false},
                "error": {"type": "string"},
                "role": {"$ref": "#/components/schemas/Role"},
            },
        });
        allow_null(&mut schema);
        assert_eq!(
            schema["properties"],
            json!({
                "id": {"type": "string"},
                "flag": {"type": "boolean", "default": false},
                "error": {"type": "string", "nullable": true},
                "role": {
                    "allOf": [{"$ref": "#/components/schemas/Role"}],
                    "nullable": true,
                },
            })
        );
    }
}
