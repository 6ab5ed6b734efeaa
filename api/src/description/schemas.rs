//! What holds for all schemas of objects.

use serde_json::{Value, json};

use super::{
    numbers,
    references::{open, referred},
};

/// The fields that a delay has in one of its modes only.
const MODES: [(&str, &[&str]); 2] = [("fixed", &["ms"]), ("uniform", &["min_ms", "max_ms"])];

/// Closes the schemas, and says which properties may be null.
pub(super) fn complete(document: &mut Value, message_bytes: usize) {
    let Some(schemas) = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for schema in schemas.values_mut() {
        if schema["type"] != "object" {
            continue;
        }
        schema["additionalProperties"] = false.into();
        allow_null(schema);
        let properties = schema["properties"].as_object_mut();
        for (_, property) in properties.into_iter().flatten() {
            numbers::complete(property);
        }
    }
    if let Some(body) = schemas.get_mut("SendMessage") {
        // A character is at least a byte: what is longer is never accepted.
        body["properties"]["body"]["maxLength"] = message_bytes.into();
    }
    let mut forms = Vec::new();
    for (name, schema) in schemas.iter_mut() {
        if referred(&schema["properties"]["mode"]) == Some("DelayMode") {
            forms.extend(split_by_mode(name, schema));
        }
    }
    schemas.extend(forms);
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
        if let Some(property) = open(property) {
            property.insert("nullable".to_owned(), true.into());
        }
    }
}

/// Makes a schema with a `mode` a choice of one schema for each mode, which has only the fields of that mode.
/// Returns the new schemas, by name.
fn split_by_mode(name: &str, schema: &mut Value) -> Vec<(String, Value)> {
    let mut whole = schema.take();
    let of_any: Vec<_> = MODES.iter().flat_map(|(_, fields)| *fields).collect();
    let forms = MODES.map(|(mode, fields)| {
        let mut form = whole.clone();
        if let Some(form) = form.as_object_mut() {
            form.remove("example");
            form.remove("title");
        }
        let mut required = whole["required"].as_array().cloned().unwrap_or_default();
        required.extend(fields.iter().map(|field| json!(field)));
        form["required"] = required.into();
        if let Some(properties) = form["properties"].as_object_mut() {
            properties.retain(|name, _| {
                !of_any.iter().any(|of_any| *of_any == name) || fields.contains(&name.as_str())
            });
            for field in fields {
                if let Some(property) = properties.get_mut(*field).and_then(Value::as_object_mut) {
                    property.remove("nullable");
                }
            }
            properties.insert("mode".to_owned(), json!({"type": "string", "enum": [mode]}));
        }
        let form_name = format!("{name}_{mode}");
        (form_name, form)
    });
    let reference = |name: &String| json!(format!("#/components/schemas/{name}"));
    let mapping = MODES
        .iter()
        .zip(&forms)
        .map(|((mode, _), (name, _))| ((*mode).to_owned(), reference(name)))
        .collect();
    *schema = json!({
        "description": whole["description"].take(),
        "oneOf": forms.iter().map(|(name, _)| json!({"$ref": reference(name)})).collect::<Vec<_>>(),
        "discriminator": {"propertyName": "mode", "mapping": Value::Object(mapping)},
    });
    if let Some(example) = whole.get_mut("example") {
        schema["example"] = example.take();
    }
    forms.into()
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
                "flag": {"type": "boolean", "default": false, "nullable": true},
                "error": {"type": "string", "nullable": true},
                "role": {
                    "allOf": [{"$ref": "#/components/schemas/Role"}],
                    "nullable": true,
                },
            })
        );
    }
}
