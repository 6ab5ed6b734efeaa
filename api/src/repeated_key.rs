//! Finds keys that a JSON object has twice. Parsers differ in which of them counts (RFC 8259, section 4), so what one
//! checks another may not mean.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// Whether some object in `json` has a key twice. What is no JSON has none, and what is nested too deeply is none.
pub(crate) fn is_in(json: &[u8]) -> bool {
    // Nothing here finds fault with data but for this.
    serde_json::from_slice::<Unique>(json).is_err_and(|error| error.is_data())
}

/// Any value in which no object has a key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while items.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unique, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !keys.insert(key) {
                return Err(A::Error::custom("a key is there twice"));
            }
            entries.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_an_object_has_twice_is_found_at_any_depth() {
        for twice in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "\u0061": 2}"#,
            r#"[0, {"a": {"b": null, "c": true, "b": -1.5}}]"#,
        ] {
            assert!(is_in(twice.as_bytes()), "{twice}");
        }
    }

    #[test]
    fn what_has_no_key_twice_or_is_no_json_passes() {
        let deep = "[".repeat(100_000);
        for fine in [
            r#"{"a": {"a": "a"}, "b": [{"a": 1}, {"a": 2}]}"#,
            r#"{"a": 18446744073709551615, "A": -9223372036854775808}"#,
            r#"{"a": 1"#,
            r#"{"a": 1e999}"#,
            "",
            "\0",
            &deep,
        ] {
            assert!(!is_in(fine.as_bytes()), "{fine:.40}");
        }
        assert!(!is_in(b"{\"a\": \"\xff\"}"));
    }
}
