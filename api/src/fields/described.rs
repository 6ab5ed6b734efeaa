//! Newtypes that say in the OpenAPI document what they are.

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, Type},
};
use serde_json::Value;

/// Defines a type of JSON around another one. Its doc comment is the description that clients read, unless a field has its
/// own; behind the type is an example, and in braces are fields of [`MetaSchema`]. They describe: whoever uses the value
/// enforces them.
macro_rules! described {
    ($(#[doc = $doc:literal])* $name:ident($inner:ty $(, $example:expr)?) { $($facts:tt)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) $inner);

        impl poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = <$inner as poem_openapi::types::Type>::RawValueType;
            type RawElementValueType = <$inner as poem_openapi::types::Type>::RawElementValueType;

            fn name() -> std::borrow::Cow<'static, str> {
                <$inner as poem_openapi::types::Type>::name()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                $crate::fields::described::schema::<$inner>(poem_openapi::registry::MetaSchema {
                    description: Some(concat!($($doc,)* "").trim())
                        .filter(|words| !str::is_empty(words)),
                    $(example: <$inner as poem_openapi::types::ToJSON>::to_json(&$example.into()),)?
                    $($facts)*
                    ..poem_openapi::registry::MetaSchema::ANY
                })
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                <$inner as poem_openapi::types::Type>::register(registry);
            }

            fn as_raw_value(&self) -> Option<&Self::RawValueType> {
                self.0.as_raw_value()
            }

            fn raw_element_iter<'a>(
                &'a self,
            ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
                self.0.raw_element_iter()
            }
        }

        impl poem_openapi::types::ParseFromJSON for $name {
            fn parse_from_json(
                value: Option<serde_json::Value>,
            ) -> poem_openapi::types::ParseResult<Self> {
                let value = $crate::fields::described::of_its_type::<Self>(value)?;
                let inner = poem_openapi::types::ParseFromJSON::parse_from_json(value);
                inner.map(Self).map_err(poem_openapi::types::ParseError::<$inner>::propagate)
            }
        }

        $(impl poem_openapi::types::Example for $name {
            fn example() -> Self {
                Self($example.into())
            }
        })?

        impl poem_openapi::types::ToJSON for $name {
            fn to_json(&self) -> Option<serde_json::Value> {
                self.0.to_json()
            }
        }
    };
}

/// Makes these types of strings parameters, too.
macro_rules! parameters {
    ($($name:ident),+) => {
        $(impl poem_openapi::types::ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> poem_openapi::types::ParseResult<Self> {
                Ok(Self(value.to_owned()))
            }
        })+
    };
}

pub(crate) use {described, parameters};

/// The schema of `T` with more facts.
pub(crate) fn schema<T: Type>(facts: MetaSchema) -> MetaSchemaRef {
    let format = facts.format;
    match T::schema_ref().merge(facts) {
        MetaSchemaRef::Inline(mut schema) => {
            // `merge` leaves it out.
            schema.format = format.or(schema.format);
            MetaSchemaRef::Inline(schema)
        }
        reference => reference,
    }
}

/// The value, unless it is no string where one belongs: poem-openapi would make one of a number or a boolean.
pub(crate) fn of_its_type<T: Type>(value: Option<Value>) -> Result<Option<Value>, ParseError<T>> {
    let is_text = matches!(T::schema_ref(), MetaSchemaRef::Inline(schema) if schema.ty == "string");
    match value {
        Some(Value::String(_)) => Ok(value),
        other if is_text => Err(ParseError::expected_type(other.unwrap_or_default())),
        other => Ok(other),
    }
}
