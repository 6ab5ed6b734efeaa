//! Numbers as OpenAPI 3.0 has them, and as they are.

use serde_json::Value;

/// Completes the schema of an integer: OpenAPI 3.0 knows integers of 32 and 64 bits, both signed.
pub(super) fn complete(schema: &mut Value) {
    let format = match schema["format"].as_str() {
        Some("uint64") => "int64",
        Some("uint8" | "uint16" | "uint32") => "int32",
        _ => return,
    };
    schema["format"] = format.into();
    if schema.get("minimum").is_none() {
        schema["minimum"] = 0.into();
    }
}

/// poem-openapi writes limits as floating-point numbers.
pub(super) fn make_whole(value: &mut Value) {
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
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(map) => map.values_mut().for_each(make_whole),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_whole_numbers() {
        let mut schema = json!({"minimum": 1.0, "items": [{"maximum": 0.5}]});
        make_whole(&mut schema);
        assert_eq!(
            schema.to_string(),
            r#"{"items":[{"maximum":0.5}],"minimum":1}"#
        );
    }
}
