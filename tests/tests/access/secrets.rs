//! Secrets are nowhere but with who owns them: not in the log, however much it tells, not in errors, not in the audit, and
//! not in the files of the server.

use std::{fs, path::Path};

use herald_tests::{
    Herald, Http, Version, failing_service,
    raw::{Connect, Raw},
};
use reqwest::Method;
use serde_json::json;

/// Secrets that are never to be seen, and what was answered while they were used.
#[derive(Default)]
pub(crate) struct Watched {
    secrets: Vec<String>,
    /// May be in the database, as its owner is to read it again.
    kept: Vec<String>,
    seen: Vec<(String, String)>,
}

impl Watched {
    pub(crate) fn secret(&mut self, text: impl Into<String>) -> String {
        let text = text.into();
        assert!(text.len() > 8, "too short to look for: {text}");
        self.secrets.push(text.clone());
        text
    }

    pub(crate) fn saw(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.seen.push((place.into(), text.into()));
    }

    pub(crate) fn check(&self) {
        for (place, text) in &self.seen {
            for secret in self.secrets.iter().chain(&self.kept) {
                assert!(
                    !text.contains(secret.as_str()),
                    "{secret} is in {place}: {text}"
                );
            }
        }
    }

    /// What the server has written to disk.
    fn check_files(&self, folder: &Path) {
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            for secret in &self.secrets {
                assert!(
                    !text.contains(secret.as_str()),
                    "{secret} is in {}",
                    path.display()
                );
            }
            files += 1;
        }
        assert!(files > 1);
    }
}

/// Sends a request and watches the answer, unless it is the one that tells the secret.
async fn call(watched: &mut Watched, http: &Http, method: Method, path: &str, body: &str) -> u16 {
    let request = http.api(method, path);
    let request = request.header("content-type", "application/json");
    let answer = http.send(request.body(body.to_owned())).await;
    watched.saw(format!("the answer to {path}"), format!("{answer:?}"));
    answer.status.as_u16()
}

#[tokio::test]
async fn no_secret_is_ever_told() {
    let mut watched = Watched::default();
    let webhook_secret = watched.secret(herald_tests::WEBHOOK_SECRET);
    let url = format!("http://{}/", failing_service().await);
    let mut herald = Herald::start_with(&[
        // All that there is to say.
        ("HERALD_LOG", "trace"),
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WEBHOOK__URL", &url),
        ("HERALD_WEBHOOK__SECRET", &webhook_secret),
        ("HERALD_AUTH__REGISTRATION", "open"),
    ])
    .await;
    let nobody = Http::anonymous(&herald);
    let password = watched.secret("horse battery of alice");
    let register = json!({"username": "alice", "password": password}).to_string();
    let code = call(
        &mut watched,
        &nobody,
        Method::POST,
        "/auth/register",
        &register,
    )
    .await;
    assert_eq!(code, 201);

    let wrong = watched.secret("wrong horse battery");
    sign_in(&mut watched, &nobody, &password, &wrong).await;
    let alice = Http::sign_in(&herald, "alice", &password).await;
    use_tokens(&mut watched, &herald, &alice, [&password, &wrong]).await;
    let admin = herald.http("admin").await;
    let reset = change_passwords(&mut watched, &herald, [&alice, &admin], &password).await;

    // The webhook is tried, in vain.
    let alice = Http::sign_in(&herald, "alice", &reset).await;
    let id = alice.send_message("hello").await;
    herald_tests::until("an attempt to fail", async || {
        let message = alice.message(&id).await;
        (!message["error"].is_null()).then_some(())
    })
    .await;
    let message = alice.message(&id).await;
    watched.saw("a message", message.to_string());
    for path in ["/admin/audit?limit=200", "/admin/users", "/admin/queue"] {
        let told = admin.get(path).await.expect(200);
        watched.saw(path, told.to_string());
    }
    watched.saw(
        "run.json",
        fs::read_to_string(herald.data_dir().join("run.json")).unwrap(),
    );
    herald.stop().await;
    let log = herald.stderr();
    assert!(
        log.contains("\"TRACE\"") || log.contains("\"DEBUG\""),
        "the log tells little"
    );
    watched.saw("the log", log);
    watched.saw("standard output", herald.stdout());
    watched.check();
    watched.check_files(&herald.data_dir());
}

/// Signs alice in, rightly and wrongly, in all the ways that people get wrong.
async fn sign_in(watched: &mut Watched, nobody: &Http, password: &str, wrong: &str) {
    let as_name = watched.secret("password-typed-as-name");
    for body in [
        json!({"username": "alice", "password": wrong}).to_string(),
        json!({"username": as_name, "password": "alice's name"}).to_string(),
        json!({"username": "alice", "password": wrong, "more": 1}).to_string(),
        json!({"username": "alice", "password": [wrong]}).to_string(),
        format!("{{\"username\": \"alice\", \"password\": \"{wrong}"),
        format!("username=alice&password={wrong}"),
    ] {
        let code = call(watched, nobody, Method::POST, "/auth/login", &body).await;
        assert!((400..500).contains(&code), "{code}");
    }
    let login = nobody.api(Method::POST, "/auth/login");
    let login = login.json(&json!({"username": "alice", "password": password}));
    let login = nobody.send(login).await;
    // That of the session, and that of the device.
    let cookies: Vec<_> = login.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2);
    for cookie in cookies {
        let cookie = cookie.to_str().unwrap().split(['=', ';']).nth(1);
        watched.secret(cookie.unwrap());
    }
    // Shown with what is refused, and altered.
    let cookies = login.cookies();
    for cookie in [cookies.clone(), cookies.replace("device=", "device=A")] {
        for path in ["/auth/login", "/auth/session"] {
            let shown = nobody.api(Method::POST, path).header("cookie", &cookie);
            let shown = shown.json(&json!({"username": "alice", "password": wrong}));
            let answer = nobody.send(shown).await;
            watched.saw(format!("the answer to {path}"), format!("{answer:?}"));
        }
    }
    let session = login.expect(200);
    watched
        .kept
        .push(session["csrf_token"].as_str().unwrap().to_owned());
}

/// Shows tokens, of use and not, and passwords where they belong and where they do not.
async fn use_tokens(
    watched: &mut Watched,
    herald: &Herald,
    alice: &Http,
    [password, wrong]: [&String; 2],
) {
    let nobody = Http::anonymous(herald);
    let token = watched.secret(alice.token(&["api", "mqtt"]).await);
    let access = alice.post("/auth/mqtt", &json!({})).await.expect(200);
    let access = watched.secret(access["token"].as_str().unwrap());
    let invented = watched.secret("hrld_invented-by-somebody-who-guesses-things");
    for token in [&token, &access, &invented] {
        let program = Http::bearer(herald, token);
        call(watched, &program, Method::GET, "/auth/session", "").await;
        let basic = nobody.api(Method::GET, "/auth/session");
        let basic = basic.header("authorization", format!("Basic {token}"));
        let answer = nobody.send(basic).await;
        watched.saw("the answer to Basic", format!("{answer:?}"));
    }
    // Where an id or a topic belongs.
    for token in [&token, &access] {
        let forged = alice.without_csrf();
        let path = format!("/tokens/{token}");
        call(watched, &forged, Method::DELETE, &path, "").await;
        let path = format!("/admin/users/{token}");
        call(watched, alice, Method::GET, &path, "").await;
        let connect = Connect::of("alice").client_id("t").password(password);
        let mut mqtt = Raw::connect_as(herald, Version::V5, &connect).await;
        assert_eq!(mqtt.subscribe(&format!("tokens/{token}")).await, 0x87);
    }
    for password in [password, wrong, &token, &access, &invented] {
        for version in [Version::V311, Version::V5] {
            let connect = Connect::of("alice").client_id("c").password(password);
            Raw::connect_code(herald, version, &connect).await;
        }
    }
}

/// Has alice's password changed by its owner, by an administrator and on the command line. Returns the last one.
async fn change_passwords(
    watched: &mut Watched,
    herald: &Herald,
    [alice, admin]: [&Http; 2],
    password: &str,
) -> String {
    let new = watched.secret("new horse battery of alice");
    let change = json!({"current": password, "new": new}).to_string();
    let code = call(watched, alice, Method::PUT, "/auth/password", &change).await;
    assert_eq!(code, 204);
    let set = watched.secret("horse battery set by admin");
    let change = json!({"password": set}).to_string();
    let code = call(watched, admin, Method::PATCH, "/admin/users/alice", &change).await;
    assert_eq!(code, 200);
    let short = watched.secret("hrld_short-but-like-a-token");
    let change = json!({"password": short}).to_string();
    call(watched, admin, Method::PATCH, "/admin/users/alice", &change).await;
    let reset = watched.secret("horse battery on the command line");
    let reset_password = herald.cli(&["admin", "reset-password", "alice"]);
    let told = reset_password.input(&format!("{reset}\n")).succeed().await;
    watched.saw("the command line", format!("{told:?}"));
    reset
}
