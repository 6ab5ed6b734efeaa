//! The responses of an operation: each status with its headers, and for a failure its codes.

use std::collections::BTreeMap;

use poem_openapi::types::ToJSON as _;
use serde_json::{Map, Value, json};

use super::references::referred;
use crate::{
    description::failures::{self, Kind},
    error::{ApiError, Code, PROBLEM_JSON},
};

/// Operations that set the session cookie, or take it back.
const SET_COOKIE: [&str; 2] = ["login", "logout"];

/// Replaces what poem-openapi says about failures, and describes the headers of every response.
pub(super) fn complete(path: &str, method: &str, operation: &mut Value, components: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let kind = Kind {
        signed_in: operation.get("security").is_some(),
        admin: path.starts_with("/admin/"),
        changes: !matches!(method, "get" | "head" | "options"),
        body: operation.get("requestBody").is_some(),
    };
    let mut codes = failures::of_kind(kind);
    codes.extend(failures::specific(id));
    let set_cookie = SET_COOKIE.contains(&id);

    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    responses.remove("default");
    for (_, response) in responses.iter_mut() {
        succeed(response, set_cookie, &components["schemas"]);
    }
    for (status, mut codes) in by_status(&codes) {
        codes.sort_unstable_by_key(|code| name(*code));
        codes.dedup();
        let names: Vec<_> = codes.iter().map(|code| name(*code)).collect();
        let shared = format!("{status}.{}", names.join("."));
        responses.insert(
            status.to_string(),
            json!({"$ref": format!("#/components/responses/{shared}")}),
        );
        // Many operations fail in the same way.
        let shared_responses = components.as_object_mut().map(|c| {
            c.entry("responses")
                .or_insert_with(|| Value::Object(Map::new()))
        });
        if let Some(all) = shared_responses.and_then(Value::as_object_mut) {
            all.entry(shared)
                .or_insert_with(|| failure(status, &codes, &names));
        }
    }
}

fn succeed(response: &mut Value, set_cookie: bool, schemas: &Value) {
    // poem-openapi describes no response whose type is the schema itself.
    if response["description"] == "" {
        let schema = response["content"]
            .as_object()
            .and_then(|content| content.values().next())
            .and_then(|media| referred(&media["schema"]));
        if let Some(schema) = schema {
            response["description"] = schemas[schema]["description"].clone();
        }
    }
    if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) {
        // JSON has no other charset (RFC 8259, section 11).
        if let Some(json) = content.remove("application/json; charset=utf-8") {
            content.insert("application/json".to_owned(), json);
        }
    }
    let mut headers = common_headers();
    if set_cookie {
        headers["Set-Cookie"] = json!({
            "description": "The session cookie `__Host-herald`: Secure, HttpOnly, SameSite=Lax. Signing out takes it back.",
            "schema": {"type": "string"},
        });
    }
    response["headers"] = headers;
}

fn by_status(codes: &[Code]) -> BTreeMap<u16, Vec<Code>> {
    let mut all: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        all.entry(code.status().as_u16()).or_default().push(*code);
    }
    all
}

fn failure(status: u16, codes: &[Code], names: &[String]) -> Value {
    let mut headers = common_headers();
    match status {
        401 => {
            headers["WWW-Authenticate"] = json!({
                "description": "The scheme of access tokens.",
                "required": true,
                "schema": {"type": "string", "enum": ["Bearer"]},
            });
        }
        429 | 503 => {
            headers["Retry-After"] = json!({
                "description": "After how many seconds another try makes sense.",
                "required": true,
                "schema": {"type": "integer", "minimum": 1},
            });
        }
        _ => {}
    }
    let words: Vec<_> = codes
        .iter()
        .zip(names)
        .map(|(code, name)| format!("`{name}`: {}", failures::when(*code)))
        .collect();
    // Alone, a code is a sentence; several are a list.
    let description = match words.as_slice() {
        [one] => one.clone(),
        _ => format!("- {}", words.join("\n- ")),
    };
    json!({
        "description": description,
        "headers": headers,
        "content": {PROBLEM_JSON: {
            "schema": {"allOf": [
                {"$ref": "#/components/schemas/Problem"},
                {
                    "type": "object",
                    "properties": {
                        "status": {"type": "integer", "enum": [status]},
                        "code": {"type": "string", "enum": names},
                    },
                },
            ]},
            "example": codes.first().map(|code| example(*code)),
        }},
    })
}

fn example(code: Code) -> Option<Value> {
    let words = failures::when(code);
    let sentence = words.split_once(": ").map_or(words, |(first, _)| first);
    let sentence = sentence.trim_end_matches('.').replace('`', "");
    ApiError::new(code, format!("{sentence}."))
        .problem()
        .to_json()
}

/// The code as clients see it.
fn name(code: Code) -> String {
    code.to_json()
        .as_ref()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn common_headers() -> Value {
    json!({"X-Request-Id": {
        "description": "Names the request in the server's log.",
        "schema": {"type": "string", "maxLength": 64},
    }})
}
