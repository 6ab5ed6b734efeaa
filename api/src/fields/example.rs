//! Examples of objects.

/// Implements [`Example`](poem_openapi::types::Example), which clients read in the OpenAPI document, for an object by the values
/// of its fields. A field without one has the example of its type.
macro_rules! example {
    ($name:ident { $($field:ident $(: $value:expr)?),+ $(,)? }) => {
        impl poem_openapi::types::Example for $name {
            fn example() -> Self {
                Self { $($field: example!(@ $($value)?)),+ }
            }
        }
    };
    (@) => { poem_openapi::types::Example::example() };
    (@ $value:expr) => { $value };
}

pub(crate) use example;
