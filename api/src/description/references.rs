//! References to schemas.

use serde_json::{Map, Value, json};

/// The name of the schema that this refers to.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// A schema that can be added to. A reference cannot have siblings (OpenAPI 3.0.3, section 4.7.23).
pub(super) fn open(schema: &mut Value) -> Option<&mut Map<String, Value>> {
    if schema.get("$ref").is_some() {
        let reference = schema.take();
        *schema = json!({"allOf": [reference]});
    }
    schema.as_object_mut()
}
