//! Objects that have some of their fields in one `mode` only.

use std::{borrow::Cow, ops::Deref};

use poem_openapi::{
    registry::{MetaDiscriminatorObject, MetaSchema, MetaSchemaRef, Registry},
    types::{Example, ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// The fields that a delay has in one of its modes only.
const MODES: [(&str, &[&str]); 2] = [("fixed", &["ms"]), ("uniform", &["min_ms", "max_ms"])];

/// A delay, which is described as a choice of one schema for each mode. A union of poem-openapi would refuse a delay without its
/// fields as one that cannot be read, and its schemas cannot be closed.
pub(crate) struct ByMode<T>(pub(crate) T);

impl<T: Type> Type for ByMode<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;
    type RawValueType = T::RawValueType;
    type RawElementValueType = T::RawElementValueType;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
        let name = T::name().into_owned();
        let whole = registry.schemas.get(&name).cloned();
        let Some(whole) = whole.filter(|whole| whole.one_of.is_empty()) else {
            return;
        };
        let forms =
            MODES.map(|(mode, fields)| (format!("{name}_{mode}"), form(&whole, mode, fields)));
        let reference = |(mode, _): &(&str, _)| format!("#/components/schemas/{name}_{mode}");
        let choice = MetaSchema {
            rust_typename: whole.rust_typename,
            description: whole.description,
            example: whole.example,
            one_of: forms
                .iter()
                .map(|(form, _)| MetaSchemaRef::Reference(form.clone()))
                .collect(),
            discriminator: Some(MetaDiscriminatorObject {
                property_name: "mode",
                mapping: MODES
                    .iter()
                    .map(|mode| (mode.0.to_owned(), reference(mode)))
                    .collect(),
            }),
            ..MetaSchema::ANY
        };
        registry.schemas.insert(name, choice);
        registry.schemas.extend(forms);
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

/// The schema of one mode, which has only the fields of that mode.
fn form(whole: &MetaSchema, mode: &'static str, fields: &[&'static str]) -> MetaSchema {
    let mut form = MetaSchema {
        title: None,
        example: None,
        ..whole.clone()
    };
    form.properties.retain(|(name, _)| {
        fields.contains(name) || MODES.iter().all(|(_, fields)| !fields.contains(name))
    });
    for (name, schema) in &mut form.properties {
        if *name == "mode" {
            *schema = MetaSchemaRef::Inline(Box::new(MetaSchema {
                enum_items: vec![mode.into()],
                ..MetaSchema::new("string")
            }));
        }
    }
    form.required.extend(fields);
    form
}

impl<T: ParseFromJSON> ParseFromJSON for ByMode<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        T::parse_from_json(value)
            .map(Self)
            .map_err(ParseError::propagate)
    }
}

impl<T: ToJSON> ToJSON for ByMode<T> {
    fn to_json(&self) -> Option<Value> {
        self.0.to_json()
    }
}

impl<T: Example> Example for ByMode<T> {
    fn example() -> Self {
        Self(T::example())
    }
}

impl<T> Deref for ByMode<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
