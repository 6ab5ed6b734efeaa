//! Refuses JSON that no request needs: an object with a key twice, as parsers differ in which one counts (RFC 8259, section 4),
//! so that one may check what another does not use; and very many values, which cost far more to parse and hold than to send.

use std::{borrow::Cow, cell::Cell, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

/// The most values in a body: an object, its fields and what is in lists count. No request needs a tenth of them.
const MAX_VALUES: u32 = 512;

/// What is wrong with some JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Some object has a key twice.
    RepeatedKey,
    /// There are more than [`MAX_VALUES`].
    TooMany,
}

/// Returns the first fault. Text that is not JSON, or nested too deeply, has none: the parser refuses it.
pub(crate) fn check(json: &[u8]) -> Result<(), Fault> {
    let shape = Shape::default();
    let mut json = serde_json::Deserializer::from_slice(json);
    // How it ends says nothing: whoever reads the JSON says what is wrong with it otherwise.
    let _ = shape.deserialize(&mut json);
    match shape.fault.get() {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

/// Any value without a fault.
#[derive(Default)]
struct Shape {
    values: Cell<u32>,
    fault: Cell<Option<Fault>>,
}

impl Shape {
    fn found<E: Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom("a fault was found")
    }
}

/// Borrowed where nothing in it is escaped.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for &Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let values = self.values.get() + 1;
        if values > MAX_VALUES {
            return Err(self.found(Fault::TooMany));
        }
        self.values.set(values);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<Key<'de>>()? {
            if !keys.insert(key) {
                return Err(self.found(Fault::RepeatedKey));
            }
            entries.next_value_seed(self)?;
        }
        Ok(())
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
            assert_eq!(check(twice.as_bytes()), Err(Fault::RepeatedKey), "{twice}");
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
            assert_eq!(check(fine.as_bytes()), Ok(()), "{fine:.40}");
        }
        assert_eq!(check(b"{\"a\": \"\xff\"}"), Ok(()));
    }

    #[test]
    fn very_many_values_are_not_looked_at() {
        let fields = |n: u32| {
            let fields: Vec<_> = (0..n).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert_eq!(check(fields(MAX_VALUES - 1).as_bytes()), Ok(()));
        let items = |n: u32| format!("[{}0]", "0,".repeat(n as usize));
        for many in [
            fields(MAX_VALUES),
            items(MAX_VALUES),
            format!("[{}", "[],".repeat(MAX_VALUES as usize)),
        ] {
            assert_eq!(check(many.as_bytes()), Err(Fault::TooMany));
        }
        // What comes behind is not even read: a key twice would be another fault.
        let attack = format!("[{},{{\"a\":0,\"a\":0}}]", fields(44_000));
        assert_eq!(check(attack.as_bytes()), Err(Fault::TooMany));
    }
}
