//! The documentation, an API that does what it says, and the page in a browser.

use std::time::Duration;

use herald_tests::{Herald, Http, SharedServer, password};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

static SERVER: SharedServer = SharedServer::new();

/// A browser takes its time to start beside other tests.
const BROWSER: Duration = Duration::from_secs(180);

#[tokio::test]
async fn the_documentation_is_swagger_ui_and_complete() {
    let herald = SERVER.with_users(&[]).await;
    let nobody = Http::anonymous(&herald);
    let get = async |path: &str| nobody.send(nobody.request(Method::GET, path)).await;
    let mut page = get("/docs").await;
    let mut folder = "/";
    if page.status.is_redirection() {
        assert_eq!(page.headers["location"], "/docs/");
        folder = "/docs/";
        page = get(folder).await;
    }
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text.to_lowercase().contains("swagger-ui"), "{page:?}");
    // All that the page needs is there.
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for part in page.text.split(attribute).skip(1) {
            let link = part.split('"').next().unwrap();
            if link.starts_with('#') || link.starts_with("data:") {
                continue;
            }
            assert!(!link.contains("://"), "from elsewhere: {link}");
            let path = match link.strip_prefix('/') {
                Some(_) => link.to_owned(),
                None => format!("{folder}{}", link.trim_start_matches("./")),
            };
            let file = get(&path).await;
            assert_eq!(file.status, 200, "{path}");
            files += 1;
        }
    }
    assert!(files >= 2, "{page:?}");
    let home = get("/").await;
    assert_eq!(home.status, 200, "{home:?}");
}

async fn document(herald: &Herald) -> Value {
    let nobody = Http::anonymous(herald);
    let request = nobody.request(Method::GET, "/api/openapi.json");
    nobody.send(request).await.expect(200)
}

#[tokio::test]
async fn the_document_describes_the_endpoints() {
    let herald = SERVER.with_users(&[]).await;
    let document = document(&herald).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(document["servers"][0]["url"], "/api/v1");
    for (path, methods) in [
        ("/auth/login", &["post"][..]),
        ("/auth/logout", &["post"]),
        ("/auth/session", &["get"]),
        ("/auth/mqtt", &["post"]),
        ("/tokens", &["get", "post"]),
        ("/tokens/{id}", &["delete"]),
        ("/messages", &["get", "post"]),
        ("/messages/{id}", &["get"]),
        ("/notifications", &["get"]),
        ("/notifications/ack", &["post"]),
        ("/admin/delay", &["get", "put"]),
        ("/admin/users", &["get", "post"]),
    ] {
        for method in methods {
            let operation = &document["paths"][path][method];
            assert!(
                operation["summary"].is_string(),
                "{method} {path}: {operation}"
            );
            assert!(
                operation["responses"].is_object(),
                "{method} {path}: {operation}"
            );
        }
    }
}

#[tokio::test]
async fn every_described_operation_exists() {
    let herald = SERVER.with_users(&[]).await;
    let nobody = Http::anonymous(&herald);
    let document = document(&herald).await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = nobody.api(method.clone(), &path.replace("{id}", "x"));
            let answer = nobody.send(request.json(&json!({}))).await;
            let code = answer.status.as_u16();
            assert!(
                [200, 400, 401].contains(&code),
                "{method} {path}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn following_the_document_signs_in_and_sends() {
    let herald = SERVER.with_users(&["alice"]).await;
    let document = document(&herald).await;
    let operation = |id: &str| {
        let paths = document["paths"].as_object().unwrap();
        let mut all = paths.iter().flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap();
            operations.iter().map(move |(method, o)| (path, method, o))
        });
        let found = all.find(|(_, _, o)| o["operationId"] == id);
        let (path, method, operation) = found.unwrap_or_else(|| panic!("no {id}"));
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let body = &operation["requestBody"]["content"];
        assert!(
            body.as_object()
                .unwrap()
                .keys()
                .any(|k| k.starts_with("application/json"))
        );
        let server = document["servers"][0]["url"].as_str().unwrap();
        (method, format!("{server}{path}"))
    };
    let http = Http::anonymous(&herald);
    let name = herald.name("alice");
    let (method, path) = operation("login");
    let login = json!({"username": name, "password": password(&name)});
    let session = http
        .send(http.request(method, &path).json(&login))
        .await
        .expect(200);
    let csrf_token = session["csrf_token"].as_str().unwrap();
    let (method, path) = operation("sendMessage");
    let request = http
        .request(method, &path)
        .header("X-CSRF-Token", csrf_token);
    let sent = http
        .send(request.json(&json!({"body": "hello"})))
        .await
        .expect(202);
    http.processed(sent["id"].as_str().unwrap()).await;
    let access = http.request(Method::POST, "/api/v1/auth/mqtt");
    let access = http
        .send(access.header("X-CSRF-Token", csrf_token))
        .await
        .expect(200);
    assert_eq!(access["inbox"], herald.inbox("alice"));
}

/// An administrator in a real browser, on a server that was just started: `tests/js/swagger.mjs` clicks through the
/// page.
#[tokio::test]
async fn an_administrator_tries_a_fresh_server_in_swagger_ui() {
    let herald = Herald::start().await;
    let page = format!("https://{}/docs", herald.http_address());
    let browser = Command::new("node")
        .args(["swagger.mjs", &page, "admin", &password("admin"), "clicked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/js"))
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BROWSER, browser)
        .await
        .expect("the browser is done in time")
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["problems"], json!([]), "{told}");
    for (step, status) in [("login", 200), ("delay", 200), ("send", 202), ("seen", 200)] {
        assert_eq!(told[step], status, "{step}: {told}");
    }
    let message = &told["message"];
    assert_eq!(
        (&message["body"], &message["result"]),
        (&json!("clicked"), &json!("clicked"))
    );
}
