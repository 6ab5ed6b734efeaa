//! What properties and parameters of a name are, wherever they stand: their limits, and an example.
//!
//! The limits are enforced where the values are read; a test sends what lies beyond them.

use serde_json::{Map, Value, json};

use super::open;

/// A username (contract with MQTT clients: it is a level of topics).
const USERNAME: &str = "^[a-z0-9][a-z0-9._-]{0,63}$";

/// Text without control characters.
const NO_CONTROL: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// The longest parameter in a query, in characters; see `strict`.
pub(crate) const MAX_PARAMETER: usize = 128;

const ID: &str = "01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071";
const MAX_ID: usize = 64;

/// Adds what is known of the property `name` of the schema `of`; what it says itself stays.
pub(super) fn describe(of: &str, name: &str, property: &mut Value) {
    add(property, known(of, name));
    if property["type"] == "integer" {
        // Nothing that is counted or numbered is negative.
        add(property, json!({"minimum": 0}));
        whole(property);
    }
}

fn add(schema: &mut Value, facts: Value) {
    let Value::Object(facts) = facts else { return };
    if facts.is_empty() {
        return;
    }
    let Some(schema) = open(schema) else { return };
    for (key, fact) in facts {
        schema.entry(key).or_insert(fact);
    }
}

/// OpenAPI 3.0 knows integers of 32 and 64 bits, both signed.
fn whole(schema: &mut Value) {
    match schema["format"].as_str() {
        Some("uint64") => schema["format"] = "int64".into(),
        Some("uint8" | "uint16" | "uint32") => schema["format"] = "int32".into(),
        _ => {}
    }
}

fn username() -> Value {
    json!({"pattern": USERNAME, "minLength": 1, "maxLength": 64, "example": "alice"})
}

fn new_password(example: &str) -> Value {
    json!({
        "minLength": 8, "maxLength": 1024, "not": {"pattern": "^hrld_"}, "writeOnly": true,
        "example": example,
    })
}

fn old_password() -> Value {
    json!({
        "minLength": 1, "maxLength": 1024, "writeOnly": true,
        "example": "correct horse battery staple",
    })
}

fn known(of: &str, name: &str) -> Value {
    match (of, name) {
        ("BrowserSession", "current") => json!({"example": true}),
        ("Login", "password") | (_, "current") => old_password(),
        (_, "password") => new_password("correct horse battery staple"),
        (_, "new") => new_password("another horse battery staple"),
        (_, "username") => username(),
        ("NewToken", "name") => {
            json!({"minLength": 1, "maxLength": 64, "pattern": NO_CONTROL, "example": "backup script"})
        }
        ("NewToken", "scopes") => json!({"minItems": 1, "uniqueItems": true, "example": ["api"]}),
        (_, "scopes") => json!({"minItems": 1, "uniqueItems": true}),
        ("Token" | "CreatedToken", "name") => {
            json!({"description": "What it is for.", "example": "backup script"})
        }
        (_, "token") => json!({
            "pattern": "^hrld_[A-Za-z0-9_-]{43}$",
            "example": "hrld_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        }),
        ("NewToken", "expires_in_s") => json!({"example": 2_592_000}),
        (_, "expires_at") => json!({"example": "2026-12-22T10:00:00.000Z"}),
        (_, "csrf_token") => json!({
            "pattern": "^[A-Za-z0-9_-]{43}$",
            "example": "q0mZ4mFfQ2GdB3pH0o6V1y8n5uXk7sTa9cLwRjEiKgM",
        }),
        ("MqttAccess", "url") => json!({"example": "wss://localhost:8443/mqtt"}),
        (_, "inbox") => json!({"example": "users/alice/notifications"}),
        ("MqttAccess", "progress") => json!({"example": "users/alice/progress"}),
        ("SendMessage", "body") => {
            json!({"minLength": 1, "pattern": r"^[^\u0000]+$", "example": "hello"})
        }
        (_, "body") => json!({"description": "The text that was sent.", "example": "hello"}),
        ("AcceptedMessage", "status") => json!({"example": "queued"}),
        (_, "status") if of != "Problem" => json!({"example": "processed"}),
        ("FailedAttempt", "error") => json!({"example": "the webhook answered 503"}),
        (_, "error") => json!({"example": null}),
        (_, "result") => json!({"example": "hello"}),
        (_, "run_at") => json!({"example": "2026-11-22T10:00:01.000Z"}),
        (_, "processed_at") => json!({
            "description": "When it ended.", "example": "2026-11-22T10:00:01.003Z",
        }),
        (_, "delivered_at") => json!({"example": "2026-11-22T10:00:01.010Z"}),
        (_, "created_at") => json!({"description": "When it was made."}),
        (_, "failed_at") => json!({"description": "When.", "example": "2026-11-22T10:00:00.500Z"}),
        (_, "attempts" | "attempt") => json!({"example": 1}),
        (_, "failed_attempts") => json!({"example": []}),
        (_, "omitted") => json!({"uniqueItems": true, "example": ["result"]}),
        (_, "seq") => json!({"minimum": 1, "example": 17}),
        (_, "up_to" | "acked") => json!({"example": 17}),
        (_, "epoch") => json!({"maxLength": MAX_ID, "example": "5f1c9a04b2d8e673"}),
        (_, "restarted") => json!({"example": false}),
        ("RetryFilter", "user") => username(),
        ("RetryFilter", "from" | "to") => json!({
            "format": "date-time", "maxLength": 64, "example": "2026-11-22T10:00:00Z",
        }),
        ("RetryFilter", "after") => json!({
            "minLength": 1, "maxLength": MAX_PARAMETER, "pattern": "^[!-~]+$", "example": null,
        }),
        (_, "retried") => json!({"example": 12}),
        ("NotificationList", "next") => json!({"nullable": true, "example": null}),
        (_, "next") => json!({"maxLength": MAX_PARAMETER, "nullable": true, "example": null}),
        (_, "ms") => json!({"maximum": MAX_DELAY, "example": 1000}),
        (_, "min_ms") => json!({"maximum": MAX_DELAY, "example": 500}),
        (_, "max_ms") => json!({"maximum": MAX_DELAY, "example": 1500}),
        ("NewRule" | "Rule", "subject") => json!({
            "pattern": "^(everyone|role:(user|admin)|user:[a-z0-9][a-z0-9._-]{0,63})$",
            "maxLength": 69, "example": "role:user",
        }),
        ("NewRule" | "Rule", "filter") => json!({
            "minLength": 1, "maxLength": MAX_TOPIC, "pattern": r"^[^\u0000]+$", "example": "rooms/%u/#",
        }),
        ("NewRule" | "Rule", "description") => json!({
            "maxLength": 500, "pattern": NO_CONTROL, "example": "Users talk in rooms of their own.",
        }),
        ("Check", "topic") => json!({
            "minLength": 1, "maxLength": MAX_TOPIC, "pattern": r"^[^\u0000]+$", "example": "rooms/alice/#",
        }),
        ("Check", "client_id") => json!({"maxLength": MAX_TOPIC, "example": "phone"}),
        (_, "allowed") => json!({"description": "Whether it is allowed.", "example": true}),
        (_, "processed_per_s") => json!({"minimum": 0, "example": 12.5}),
        ("Queue", "oldest_due") => json!({"example": null}),
        ("Latency", "p50_ms") => json!({"example": 3}),
        ("Latency", "p99_ms") => json!({"example": 24}),
        (_, "processed") => json!({"example": 1234}),
        ("BrowserSession", "address") => {
            json!({"example": "192.0.2.1"})
        }
        ("BrowserSession", "user_agent") => json!({"example": "Mozilla/5.0"}),
        ("AuditEntry", "at") => {
            json!({"description": "When.", "example": "2026-11-22T10:00:00.000Z"})
        }
        ("AuditEntry", "action") => json!({"example": "user.created"}),
        ("AuditEntry", "actor") => json!({"example": "admin"}),
        ("AuditEntry", "target") => json!({"example": "alice"}),
        ("AuditEntry", "address") => json!({"example": "192.0.2.1"}),
        ("AuditEntry", "request_id") => json!({"example": ID}),
        ("AuditEntry", "detail") => json!({"example": "role user"}),
        ("AuditEntry", "count") => json!({"minimum": 1, "example": 1}),
        ("Connection", "id") => json!({"maxLength": MAX_ID, "example": "5f1c9a04-17"}),
        ("Acknowledge", "client_id") => json!({"maxLength": 256, "example": "phone"}),
        ("Connection", "client_id") => json!({"example": "phone"}),
        ("Connection", "connected") => json!({"example": true}),
        ("Connection", "address") => json!({"example": "192.0.2.1:51724"}),
        ("Connection", "keep_alive_s") => json!({"example": 60}),
        ("Connection", "token_id") => json!({"example": null}),
        ("Connection", "subscriptions") => json!({"example": 1}),
        (_, "id") => json!({"maxLength": MAX_ID, "description": "Opaque.", "example": ID}),
        _ => Value::Object(Map::new()),
    }
}

/// 30 days.
const MAX_DELAY: u64 = herald_store::Delay::MAX_MS;
/// Bytes of a topic (MQTT 5, section 1.5.4); characters are no more than bytes.
const MAX_TOPIC: usize = 65_535;

/// Adds what is known of a parameter of the operation `of`.
pub(super) fn describe_parameter(of: &str, parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let in_query = parameter["in"] == "query";
    let (description, facts) = match name.as_str() {
        // Its cursor is a username.
        "after" if matches!(of, "listUsers" | "listUserDelays") => ("", username()),
        "limit" => ("How many items a page has at most.", json!({"example": 50})),
        "before" | "after" if parameter["schema"]["type"] == "string" => (
            "The `next` of the page before.",
            json!({"pattern": "^[!-~]+$", "example": ID}),
        ),
        "after" => ("", json!({"example": 0})),
        "status" => ("", json!({"example": "dead"})),
        "epoch" => ("", json!({"example": "5f1c9a04b2d8e673"})),
        "name" | "user" | "actor" => ("The username.", username()),
        "action" => ("", json!({"example": "sign_in.failed"})),
        "id" => (
            "Its id.",
            json!({"minLength": 1, "maxLength": MAX_ID, "example": ID}),
        ),
        "Idempotency-Key" => (
            "",
            json!({"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$", "example": "order-4711"}),
        ),
        "apply_to_queued" => ("", json!({"example": true})),
        _ => ("", json!({})),
    };
    if parameter.get("description").is_none() && !description.is_empty() {
        parameter["description"] = description.into();
    }
    let schema = &mut parameter["schema"];
    add(schema, facts);
    if schema["type"] == "integer" {
        add(schema, json!({"minimum": 0}));
        whole(schema);
    } else if schema["type"] == "string" && in_query {
        add(
            schema,
            json!({"minLength": 1, "maxLength": MAX_PARAMETER, "pattern": "^[!-~]+$"}),
        );
    }
    let example = schema
        .as_object_mut()
        .and_then(|schema| schema.remove("example"));
    let Some(example) = example else { return };
    if parameter["required"] == true {
        parameter["example"] = example;
    } else if parameter["schema"].get("default").is_none() {
        // Swagger UI would fill it in, and a list with every filter set shows nothing.
        let example = example
            .as_str()
            .map_or_else(|| example.to_string(), str::to_owned);
        let description = parameter["description"].as_str().unwrap_or_default();
        parameter["description"] = format!("{description} For example `{example}`.").into();
    }
}
