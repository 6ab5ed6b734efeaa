//! Numbers as OpenAPI 3.0 has them, and as they are.

use serde_json::Value;

/// Completes the schemas of integers below `value`: OpenAPI 3.0 knows those of 32 and 64 bits, both signed. Makes numbers
/// whole that are: poem-openapi writes limits as floating-point numbers.
pub(super) fn complete(value: &mut Value) {
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
        Value::Array(items) => items.iter_mut().for_each(complete),
        Value::Object(map) => {
            let signed = match map.get("format").and_then(Value::as_str) {
                Some("uint64") => Some("int64"),
                Some("uint8" | "uint16" | "uint32") => Some("int32"),
                _ => None,
            };
            if let Some(signed) = signed {
                map.insert("format".to_owned(), signed.into());
                map.entry("minimum").or_insert(0.into());
            }
            map.values_mut().for_each(complete);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_whole_numbers() {
        let mut schema = json!({"format": "uint32", "items": [{"maximum": 0.5}, {"minimum": 1.0}]});
        complete(&mut schema);
        assert_eq!(
            schema.to_string(),
            r#"{"format":"int32","items":[{"maximum":0.5},{"minimum":1}],"minimum":0}"#
        );
    }
}
