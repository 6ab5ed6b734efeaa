//! The responses of an operation that failed: one for each status, with its codes.

use std::collections::BTreeMap;

use poem_openapi::types::ParseFromJSON as _;
use serde_json::{Map, Value, json};

use crate::error::{Code, PROBLEM_JSON, narrowed};

/// Makes the response `default`, which has the codes that an operation names, one for each status of them and of the codes
/// that any operation of its kind can return. poem-openapi has no responses that operations share: they go to `shared`.
pub(super) fn by_status(
    path: &str,
    method: &str,
    operation: &mut Value,
    shared: &mut Map<String, Value>,
) {
    let mut codes = of_kind(path, method, operation);
    let responses = operation["responses"].as_object_mut();
    let Some((responses, failure)) =
        responses.and_then(|all| all.remove("default").map(|failure| (all, failure)))
    else {
        return;
    };
    let own = failure["content"][PROBLEM_JSON]["schema"]["allOf"][1]["properties"]["code"]["enum"]
        .as_array();
    for name in own.into_iter().flatten() {
        codes.extend(Code::parse_from_json(Some(name.clone())));
    }
    let mut by_status: BTreeMap<u16, BTreeMap<String, Code>> = BTreeMap::new();
    for code in codes {
        let of_status = by_status.entry(code.status().as_u16()).or_default();
        of_status.insert(code.name(), code);
    }
    for (status, codes) in by_status {
        let names: Vec<_> = codes.keys().map(String::as_str).collect();
        let name = format!("{status}.{}", names.join("."));
        let reference = format!("#/components/responses/{name}");
        responses.insert(status.to_string(), json!({"$ref": reference}));
        shared
            .entry(name)
            .or_insert_with(|| narrowed(failure.clone(), status, &codes));
    }
}

/// The codes that any operation of this kind can return.
fn of_kind(path: &str, method: &str, operation: &Value) -> Vec<Code> {
    let mut codes = vec![
        Code::BadRequest,
        // Also for a body that no operation needs.
        Code::RequestTimeout,
        Code::TooLarge,
        Code::RateLimited,
        Code::Internal,
        Code::Busy,
        Code::NotReady,
    ];
    if operation.get("security").is_some() {
        codes.extend([Code::Unauthenticated, Code::Csrf]);
    }
    // The methods that change nothing (RFC 9110, section 9.2.1).
    if !matches!(method, "get" | "head" | "options") {
        codes.push(Code::OriginNotAllowed);
    }
    if path.starts_with("/admin/") {
        codes.push(Code::Forbidden);
    }
    if operation.get("requestBody").is_some() {
        codes.push(Code::UnsupportedMediaType);
    }
    codes
}
