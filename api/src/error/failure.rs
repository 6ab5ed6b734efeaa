//! How the operations fail, as their signatures say.

use std::{collections::BTreeMap, marker::PhantomData};

use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::{ToJSON as _, Type as _},
};
use serde_json::{Value, json};

use super::{
    api_error::ApiError,
    code::{Code, Codes},
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

/// The description of a failure ([`Failure::meta`]) as that of one with this status and one of these codes.
pub(crate) fn narrowed(mut failure: Value, status: u16, codes: &BTreeMap<String, Code>) -> Value {
    match status {
        401 => {
            failure["headers"]["WWW-Authenticate"] = json!({
                "description": "The scheme of access tokens.",
                "required": true,
                "schema": {"type": "string", "enum": ["Bearer"]},
            });
        }
        429 | 503 => {
            failure["headers"]["Retry-After"] = json!({
                "description": "After how many seconds another try makes sense.",
                "required": true,
                "schema": {"type": "integer", "minimum": 1},
            });
        }
        _ => {}
    }
    let words: Vec<_> = codes
        .iter()
        .map(|(name, code)| format!("`{name}`: {}", code.when()))
        .collect();
    // Alone, a code is a sentence; several are a list.
    failure["description"] = match words.as_slice() {
        [one] => one.clone().into(),
        _ => format!("- {}", words.join("\n- ")).into(),
    };
    let media = &mut failure["content"][PROBLEM_JSON];
    let properties = &mut media["schema"]["allOf"][1]["properties"];
    properties["status"] = json!({"type": "integer", "enum": [status]});
    properties["code"]["enum"] = codes.keys().map(String::as_str).collect();
    properties["code"]["type"] = "string".into();
    media["example"] = codes.values().next().map(|code| example(*code)).into();
    failure
}

fn example(code: Code) -> Option<Value> {
    let words = code.when();
    let sentence = words.split_once(": ").map_or(words, |(first, _)| first);
    let sentence = sentence.trim_end_matches('.').replace('`', "");
    let error = ApiError::new(code, format!("{sentence}."));
    error.problem().to_json()
}
