use std::{fs, path::Path};

use serde_json::json;

use crate::client::Herald;

/// Set to write the description down instead of comparing it.
const UPDATE: &str = "UPDATE_OPENAPI";

#[tokio::test]
async fn the_api_is_as_it_was_written_down() {
    let herald = Herald::start().await;
    let answer = herald.get("/api/openapi.json").send().await.expect(200);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    let now = answer.text + "\n";
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&file, now).unwrap();
        return;
    }
    let then = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        now == then,
        "the API differs from {}; if that is meant, run the test with {UPDATE}=1 and review the change",
        file.display()
    );
}

#[tokio::test]
async fn both_ways_to_authenticate_are_described() {
    let herald = Herald::start().await;
    let doc = herald
        .get("/api/openapi.json")
        .send()
        .await
        .expect(200)
        .json;
    let schemes = &doc["components"]["securitySchemes"];
    assert_eq!(schemes["session"]["in"], "cookie");
    assert_eq!(schemes["session"]["name"], "__Host-herald");
    assert_eq!(schemes["token"]["scheme"], "bearer");

    for (path, operations) in doc["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let expected = if path == "/auth/login" {
                json!(null)
            } else {
                json!([{"session": []}, {"token": []}])
            };
            assert_eq!(operation["security"], expected, "{method} {path}");
            assert!(operation["tags"].is_array(), "{method} {path}");
        }
    }
}
