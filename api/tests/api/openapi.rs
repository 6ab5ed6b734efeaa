use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};

use crate::{client::Herald, document::Document};

/// Set to write the description down instead of comparing it.
const UPDATE: &str = "UPDATE_OPENAPI";

/// Compares `now` with what is in the file, or writes it there.
fn compare(file: &Path, now: &str) {
    if std::env::var_os(UPDATE).is_some() {
        fs::write(file, now).unwrap();
        return;
    }
    let then = fs::read_to_string(file).unwrap_or_default();
    assert!(
        now == then,
        "the API differs from {}; if that is meant, run the test with {UPDATE}=1 and review the change",
        file.display()
    );
}

#[tokio::test]
async fn the_api_is_as_it_was_written_down() {
    let herald = Herald::start().await;
    let answer = herald.get("/api/openapi.json").send().await.expect(200);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    compare(&file, &(answer.text + "\n"));
}

#[tokio::test]
async fn the_documentation_lists_the_operations_that_there_are() {
    const BEGIN: &str = "<!-- operations: written by a test, UPDATE_OPENAPI=1 -->\n";
    const END: &str = "<!-- end of operations -->";
    let herald = Herald::start().await;
    let document = herald.document().await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("a marker");
    let (_, after) = rest.split_once(END).expect("a marker");
    compare(
        &file,
        &format!("{before}{BEGIN}{}{END}{after}", table(document)),
    );
}

/// Codes that follow from what an operation is: docs/api.md says so in words.
const COMMON: [&str; 13] = [
    "bad_request",
    "unauthenticated",
    "forbidden",
    "csrf",
    "origin_not_allowed",
    "request_timeout",
    "too_large",
    "unsupported_media_type",
    "rate_limited",
    "internal",
    "busy",
    "not_ready",
    "method_not_allowed",
];

/// The status of success, and the codes that are the operation's own.
fn answers(document: &Document, operation: &Value) -> Vec<String> {
    let mut answers = Vec::new();
    for (status, response) in operation["responses"].as_object().unwrap() {
        let Some(reference) = response["$ref"].as_str() else {
            answers.push(status.clone());
            continue;
        };
        let response = document.json.pointer(reference.trim_start_matches('#'));
        let schema = &response.unwrap()["content"]["application/problem+json"]["schema"];
        let codes = &schema["allOf"][1]["properties"]["code"]["enum"];
        let codes = codes.as_array().unwrap().iter().filter_map(Value::as_str);
        let own = codes.filter(|code| !COMMON.contains(code));
        answers.extend(own.map(|code| format!("{status} `{code}`")));
    }
    answers
}

/// All operations, by tag.
fn table(document: &Document) -> String {
    let mut table = "| operation | does | answers |\n|---|---|---|\n".to_owned();
    for tag in document.json["tags"].as_array().unwrap() {
        for (path, method, operation) in document.operations() {
            if operation["tags"][0] != tag["name"] {
                continue;
            }
            let answers = answers(document, operation);
            writeln!(
                table,
                "| `{} {path}` | {} | {} |",
                method.to_uppercase(),
                operation["summary"].as_str().unwrap(),
                answers.join(", ")
            )
            .unwrap();
        }
    }
    table
}

#[tokio::test]
async fn both_ways_to_authenticate_are_described() {
    let herald = Herald::start().await;
    let document = herald.document().await;
    let schemes = &document.json["components"]["securitySchemes"];
    assert_eq!(schemes["session"]["in"], "cookie");
    assert_eq!(schemes["session"]["name"], "__Host-herald");
    assert_eq!(schemes["token"]["scheme"], "bearer");

    for (path, method, operation) in document.operations() {
        let expected = if ["/auth/login", "/auth/register", "/auth/registration"].contains(&path) {
            json!(null)
        } else {
            json!([{"session": []}, {"token": []}])
        };
        assert_eq!(operation["security"], expected, "{method} {path}");
    }
}

/// Which operations administrators alone may call is known by their paths.
#[tokio::test]
async fn only_administrators_may_do_what_is_described_as_theirs() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let document = herald.document().await;
    for (path, method, operation) in document.operations() {
        // The last thing to do.
        if operation["operationId"] == "logout" || operation["security"].is_null() {
            continue;
        }
        let call = alice.call(verb(method), &concrete(path));
        let answer = call.json(example(document, operation)).send().await;
        let refused = answer.json["code"] == "forbidden";
        let tag = operation["tags"][0].as_str().unwrap();
        let admin = path.starts_with("/admin/");
        assert_eq!(refused, admin, "{method} {path}: {}", answer.text);
        assert_eq!(["admin", "access"].contains(&tag), admin, "{method} {path}");
    }
}

#[tokio::test]
async fn every_operation_is_explained_with_examples_that_are_as_described() {
    let herald = Herald::start().await;
    let document = herald.document().await;
    for (path, method, operation) in document.operations() {
        let what = format!("{method} {path}");
        for words in ["summary", "description", "operationId"] {
            let text = operation[words].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{what} has no {words}");
            assert!(!text.contains("Errors:"), "{what}: {text}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let words = parameter["description"].as_str().unwrap_or_default();
            let shown = parameter.get("example").is_some()
                || parameter["schema"].get("default").is_some()
                || words.contains("For example");
            assert!(!words.trim().is_empty() && shown, "{what}: {parameter}");
        }
        let place = format!("/paths/{}/{method}", path.replace('/', "~1"));
        let body = format!("{place}/requestBody/content");
        assert_examples(document, &body, &what);
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response_place = match response["$ref"].as_str() {
                Some(reference) => reference.trim_start_matches('#').to_owned(),
                None => format!("{place}/responses/{status}"),
            };
            let response = document.json.pointer(&response_place).unwrap();
            let words = response["description"].as_str().unwrap_or_default();
            assert!(!words.is_empty(), "{what}: {status}");
            assert!(response["headers"]["X-REQUEST-ID"].is_object(), "{what}");
            assert_examples(document, &format!("{response_place}/content"), &what);
        }
    }
    for tag in document.json["tags"].as_array().unwrap() {
        assert!(tag["description"].is_string(), "{tag}");
    }
}

fn assert_examples(document: &Document, content: &str, what: &str) {
    let media = document.json.pointer(content).and_then(Value::as_object);
    for (kind, media) in media.into_iter().flatten() {
        let schema = format!("{content}/{}/schema", kind.replace('/', "~1"));
        let example = document.example(media);
        let errors = document.errors(&schema, example);
        assert!(errors.is_empty(), "{what}: {example} {errors:?}");
    }
}

#[tokio::test]
async fn every_problem_code_is_described_somewhere() {
    let herald = Herald::start().await;
    let document = &herald.document().await.json;
    let mut described = BTreeSet::new();
    for (_, response) in document["components"]["responses"].as_object().unwrap() {
        let schema = &response["content"]["application/problem+json"]["schema"];
        let codes = &schema["allOf"][1]["properties"]["code"]["enum"];
        described.extend(
            codes
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c.as_str().unwrap()),
        );
    }
    let codes = &document["components"]["schemas"]["ProblemCode"]["enum"];
    for code in codes.as_array().unwrap() {
        let code = code.as_str().unwrap();
        // No operation answers that there is no such operation.
        assert!(
            described.contains(code) || code == "method_not_allowed",
            "{code}"
        );
    }
}

#[tokio::test]
async fn what_a_client_may_send_has_limits() {
    let herald = Herald::start().await;
    let document = herald.document().await;
    for (path, method, operation) in document.operations() {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_limits(&document.json, schema, &format!("{method} {path}"));
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let what = format!("{method} {path} {}", parameter["name"]);
            assert_limits(&document.json, &parameter["schema"], &what);
        }
    }
}

fn assert_limits(document: &Value, schema: &Value, what: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let place = reference.trim_start_matches('#');
        return assert_limits(document, document.pointer(place).unwrap(), what);
    }
    for choice in ["allOf", "oneOf"] {
        for schema in schema[choice].as_array().into_iter().flatten() {
            assert_limits(document, schema, what);
        }
    }
    let limited = match schema["type"].as_str() {
        Some("string") => schema["enum"].is_array() || schema["maxLength"].is_u64(),
        Some("integer") => schema["minimum"].is_i64() && schema["format"].is_string(),
        Some("array") => schema["minItems"].is_u64() && schema["uniqueItems"] == true,
        Some("object") => schema["additionalProperties"] == false,
        _ => true,
    };
    assert!(limited, "{what}: {schema}");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        assert_limits(document, property, &format!("{what} {name}"));
    }
}

#[tokio::test]
async fn an_unknown_field_is_refused_by_every_operation_with_a_body() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let document = herald.document().await;
    for (path, method, operation) in document.operations() {
        if operation.get("requestBody").is_none() {
            continue;
        }
        let mut body = example(document, operation);
        body["unheard_of"] = 1.into();
        let call = admin.call(verb(method), &concrete(path)).json(body);
        let answer = call.send().await.expect_problem(400, "bad_request");
        assert!(answer.text.contains("unknown field"), "{}", answer.text);
        // It may be a password that lost its way.
        assert!(!answer.text.contains("unheard_of"), "{}", answer.text);
        for kind in [
            "text/plain",
            "application/x+json",
            "application/json; charset=latin1",
        ] {
            let call = admin.call(verb(method), &concrete(path));
            let call = call
                .json(example(document, operation))
                .header("content-type", kind);
            let answer = call.send().await;
            answer.expect_problem(415, "unsupported_media_type");
        }
    }
}

#[tokio::test]
async fn a_parameter_that_is_unknown_or_repeated_or_not_as_described_is_refused() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let document = herald.document().await;
    for (path, method, operation) in document.operations() {
        // It would end the session.
        if operation["operationId"] == "logout" {
            continue;
        }
        let refused = async |query: &str| {
            let call = admin.call(verb(method), &format!("{}?{query}", concrete(path)));
            let answer = call.json(example(document, operation)).send().await;
            assert_eq!(
                answer.status, 400,
                "{method} {path}?{query}: {}",
                answer.text
            );
        };
        refused("unheard_of=1").await;
        refused("=").await;
        refused("unheard_of").await;
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] != "query" {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let wrong: &[&str] = match parameter["schema"]["type"].as_str() {
                Some("integer") => &[
                    "",
                    "-1",
                    "-0",
                    "%2B5",
                    "05",
                    "1e1",
                    "1.0",
                    "x",
                    "%20",
                    "9223372036854775808",
                ],
                Some("boolean") => &["", "1", "yes", "TRUE"],
                _ => &["", "%00", "%0A", "%20", "%C3%A9", "%FF"],
            };
            for value in wrong {
                refused(&format!("{name}={value}")).await;
            }
            refused(&format!("{name}={}", "9".repeat(10_000))).await;
            refused(&format!("{name}={}", "9".repeat(129))).await;
            refused(&format!("{name}=1&{name}=1")).await;
            refused(&format!("{}=1", name.to_uppercase())).await;
        }
    }
}

#[tokio::test]
async fn a_page_token_that_no_page_gave_is_refused_or_a_place_like_any_other() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let document = herald.document().await;
    for (path, method, operation) in document.operations() {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names: Vec<_> = parameters.map(|p| p["name"].as_str().unwrap()).collect();
        let Some(token) = names.iter().find(|name| ["before", "after"].contains(name)) else {
            continue;
        };
        assert!(names.contains(&"limit"), "{method} {path}");
        for place in ["xyz", "0", "~", "..", "%27%22%3B--", "zzz.zzz.zzz", "ID"] {
            let answer = admin.get(&format!("{}?{token}={place}", concrete(path)));
            let answer = answer.send().await;
            let status = answer.status.as_u16();
            assert!([200, 400, 422].contains(&status), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_method_that_is_not_described_is_refused_with_those_that_are() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let answer = admin
        .call(poem::http::Method::PUT, "/api/v1/messages/x")
        .send()
        .await
        .expect_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("DELETE, GET, HEAD"));
}

fn verb(method: &str) -> poem::http::Method {
    method.to_uppercase().parse().unwrap()
}

/// A path with something in the place of each parameter.
fn concrete(path: &str) -> String {
    let path = path.replace("{name}", "nobody").replace("{id}", "nothing");
    format!("/api/v1{path}")
}

/// A body that the operation takes; null if it takes none.
fn example(document: &Document, operation: &Value) -> Value {
    let media = &operation["requestBody"]["content"]["application/json"];
    document.example(media).clone()
}
