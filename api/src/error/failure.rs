//! How the operations fail, as their signatures say.

use std::marker::PhantomData;

use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::{ToJSON as _, Type as _},
};

use super::{
    api_error::ApiError,
    code::Codes,
    problem::{PROBLEM_JSON, Problem},
};

/// The failure of an operation: one of the codes `C`, or one that any operation of its kind returns.
pub(crate) struct Failure<C> {
    error: ApiError,
    codes: PhantomData<C>,
}

impl<C, E: Into<ApiError>> From<E> for Failure<C> {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            codes: PhantomData,
        }
    }
}

impl<C> From<Failure<C>> for poem::Error {
    fn from(failure: Failure<C>) -> Self {
        failure.error.into()
    }
}

impl<C: Codes> ApiResponse for Failure<C> {
    /// One response for all codes: the description makes one of each status of it.
    fn meta() -> MetaResponses {
        let codes = C::codes();
        let code = MetaSchema {
            enum_items: codes.iter().filter_map(|code| code.to_json()).collect(),
            ..MetaSchema::new("string")
        };
        let narrowed = MetaSchema {
            properties: vec![("code", MetaSchemaRef::Inline(Box::new(code)))],
            ..MetaSchema::new("object")
        };
        let schema = MetaSchema {
            all_of: vec![
                Problem::schema_ref(),
                MetaSchemaRef::Inline(Box::new(narrowed)),
            ],
            ..MetaSchema::ANY
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The request failed.",
                status: None,
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: PROBLEM_JSON,
                    schema: MetaSchemaRef::Inline(Box::new(schema)),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        Failure::<()>::meta()
    }

    fn register(registry: &mut Registry) {
        Failure::<()>::register(registry);
    }
}
