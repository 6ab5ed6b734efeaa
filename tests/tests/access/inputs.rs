//! What comes in, in any place and however wrong, is not repeated: not in the log at its most talkative, not in errors, not
//! in the audit. Names of topics, clients and accounts are told to operators, but no token in them.

use herald_tests::{
    Herald, Http, Version, bridge, failing_service, password,
    raw::{Connect, Message, Property, Raw, Will},
};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::{secrets::Watched, wire::Wire};

/// Another secret each time.
pub(crate) struct Secrets {
    pub(crate) watched: Watched,
    made: usize,
}

impl Secrets {
    pub(crate) fn new() -> Self {
        Self {
            watched: Watched::default(),
            made: 0,
        }
    }

    pub(crate) fn text(&mut self) -> String {
        self.made += 1;
        self.watched
            .secret(format!("s3cret-{}-tell-nobody", self.made))
    }

    /// What looks like an access token.
    fn token(&mut self) -> String {
        let text = self.text();
        format!("hrld_{text}")
    }
}

/// Sends requests that hold a secret where none belongs, and one where one does.
async fn http(secrets: &mut Secrets, http: &Http) {
    let mut bodies = vec![];
    for n in 0..9 {
        let s = secrets.text();
        bodies.push(match n {
            0 => format!("\"{s}\""),
            1 => format!("{{\"body\": \"x\", \"{s}\": 1}}"),
            2 => format!("{{\"body\": [\"{s}\"]}}"),
            3 => format!("{{\"body\": {{\"{s}\": \"{s}\"}}}}"),
            4 => format!("{{\"body\": \"{s}"),
            5 => format!("{{\"{s}\": 1, \"{s}\": 1}}"),
            6 => format!("{{\"body\": \"{s}\\u0000\"}}"),
            7 => s.clone(),
            _ => format!("[{{\"body\": \"{s}\"}}, 1"),
        });
    }
    for body in &bodies {
        for (method, path) in [
            (Method::POST, "/messages"),
            (Method::POST, "/tokens"),
            (Method::POST, "/auth/login"),
            (Method::POST, "/auth/register"),
            (Method::PUT, "/auth/password"),
            (Method::PUT, "/admin/delay"),
            (Method::POST, "/admin/users"),
            (Method::PATCH, "/admin/users/alice"),
            (Method::POST, "/admin/acl/rules"),
            (Method::POST, "/admin/acl/check"),
            (Method::POST, "/notifications/ack"),
        ] {
            let request = http.api(method, path);
            let request = request.header("content-type", "application/json");
            let answer = http.send(request.body(body.clone())).await;
            assert!(
                answer.status.is_client_error(),
                "{path}: {body}: {answer:?}"
            );
            secrets.watched.saw(path, format!("{answer:?}"));
        }
    }
    for header in [
        "authorization",
        "cookie",
        "x-csrf-token",
        "idempotency-key",
        "origin",
        "referer",
        "sec-fetch-site",
        "user-agent",
        "content-type",
        "accept",
        "forwarded",
        "x-request-id",
        "if-none-match",
    ] {
        let value = format!("{} \u{7f}", secrets.text());
        for value in [
            &value[..value.len() - 2],
            &format!("Bearer {}", secrets.token()),
        ] {
            let request = http.api(Method::POST, "/messages").header(header, value);
            let answer = http.send(request.body("{}")).await;
            secrets.watched.saw(header, format!("{answer:?}"));
        }
    }
    for path in [
        "/messages/",
        "/tokens/",
        "/admin/users/",
        "/admin/connections/",
        "/",
    ] {
        let path = format!("{path}{}", secrets.token());
        let answer = http.send(http.api(Method::DELETE, &path)).await;
        secrets.watched.saw("a path", format!("{answer:?}"));
    }
    for query in ["status", "before", "limit", "user", "token"] {
        for path in ["/messages", "/admin/messages", "/admin/audit"] {
            let path = format!("{path}?{query}={}", secrets.text());
            let answer = http.send(http.api(Method::GET, &path)).await;
            secrets.watched.saw("a query", format!("{answer:?}"));
        }
    }
}

/// Heads of requests that are none.
async fn heads(secrets: &mut Secrets, herald: &Herald) {
    for n in 0..4 {
        let s = secrets.text();
        let head = match n {
            0 => format!("{s}\r\n\r\n"),
            1 => format!("GET / HTTP/1.1\r\nHost: {s}\r\n{s}\r\n\r\n"),
            2 => format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {s}\u{1}\r\n\r\n"),
            _ => format!("GET /{s} HTTP/{s}\r\nHost: a\r\n\r\n"),
        };
        let mut wire = Wire::connect(herald).await;
        wire.send(head.as_bytes()).await;
        if let Some(answer) = wire.answer().await {
            secrets
                .watched
                .saw("the answer to a head", format!("{answer:?}"));
        }
    }
}

/// Every field of CONNECT, PUBLISH and SUBSCRIBE, by one who may and one who may not.
async fn mqtt(secrets: &mut Secrets, herald: &Herald, version: Version, websocket: bool) {
    let address = match websocket {
        true => bridge(herald, None).await,
        false => herald.tcp_address().to_owned(),
    };
    let of = |secrets: &mut Secrets| {
        let mut message = Message::new("broadcast/x", &secrets.text()).qos(1);
        for property in [
            Property::user(&secrets.text(), &secrets.text()),
            Property::ContentType(secrets.text()),
            Property::ResponseTopic(secrets.text()),
            Property::CorrelationData(secrets.text().into_bytes()),
        ] {
            message = message.with(property);
        }
        message
    };
    let will = Will {
        topic: "users/alice/messages".into(),
        payload: format!("\"{}\"", secrets.text()),
        qos: 1,
        retain: false,
        properties: vec![
            Property::user(&secrets.text(), &secrets.text()),
            Property::ContentType(secrets.text()),
        ],
    };
    let connect = Connect::of("alice")
        .client_id(&secrets.token())
        .will_with(will)
        .with(Property::user(&secrets.text(), &secrets.text()));
    let mut alice = Raw::over(&address, version).await;
    assert_eq!(alice.login(&connect).await, 0);
    for payload in [
        format!("\"{}\"", secrets.text()),
        format!("{{\"body\": \"x\", \"{}\": 1}}", secrets.text()),
        format!("{{\"body\": [\"{}\"]}}", secrets.text()),
        format!("{{\"body\": \"{}", secrets.text()),
        format!(
            "{{\"body\": \"x\", \"idempotency_key\": \"{} \"}}",
            secrets.text()
        ),
        secrets.text(),
    ] {
        let message = Message::new("users/alice/messages", &payload).qos(1);
        let (code, why) = alice.deliver_explained(&message).await;
        assert_eq!(code, version.puback(0x99), "{payload}");
        secrets.watched.saw("PUBACK", format!("{why:?}"));
    }
    let message = of(secrets);
    alice.deliver(&message).await;
    let topic = format!("elsewhere/{}", secrets.token());
    alice.publish(&topic, &secrets.text()).await;
    alice.subscribe(&topic).await;
    // Without a word: the will is due, and goes nowhere.
    alice.cut().await;

    let mut admin = Raw::connect(herald, version, "admin").await;
    let message = of(secrets).retained();
    assert_eq!(admin.deliver(&message).await, 0);
    admin.publish("broadcast/x", "").await;
    for (name, password) in [
        (secrets.text(), secrets.text()),
        ("alice".to_owned(), secrets.text()),
        ("alice".to_owned(), secrets.token()),
    ] {
        let mut connect = Connect::of(&name).password(&password);
        connect.client_id = secrets.token();
        let mut refused = Raw::open(herald, version).await;
        assert_ne!(refused.login(&connect).await, 0);
    }
    let mut broken = Raw::open(herald, version).await;
    broken.send_in_vain(secrets.text().as_bytes()).await;
}

/// All that there is to say, of a server whose webhook fails.
fn talkative(url: &str) -> [(&'static str, &str); 5] {
    [
        ("HERALD_LOG", "trace"),
        ("HERALD_AUTH__REGISTRATION", "open"),
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WEBHOOK__URL", url),
        ("HERALD_WEBHOOK__SECRET", herald_tests::WEBHOOK_SECRET),
    ]
}

/// Stops the server and looks for secrets in what it has said.
async fn check(mut secrets: Secrets, mut herald: Herald) {
    herald.stop().await;
    let log = herald.stderr();
    assert!(log.contains("\"DEBUG\""), "the log tells little");
    secrets.watched.saw("the log", log);
    secrets.watched.check();
}

#[rstest]
#[tokio::test]
async fn nothing_that_comes_in_is_repeated(#[values(Version::V311, Version::V5)] version: Version) {
    let mut secrets = Secrets::new();
    let service = failing_service().await;
    let url = format!("http://{}:{}@{service}/", secrets.text(), secrets.text());
    let herald = Herald::start_with(&talkative(&url)).await;
    let admin = herald.http("admin").await;
    admin.create_user("alice", "user").await;
    let alice = herald.http("alice").await;
    http(&mut secrets, &alice).await;
    http(&mut secrets, &admin).await;
    http(&mut secrets, &Http::anonymous(&herald)).await;
    mqtt(&mut secrets, &herald, version, false).await;
    // Sent as it should be, and tried in vain.
    let body = secrets.text();
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    let id = alice.send_message(&body).await;
    herald_tests::until("an attempt to fail", async || {
        let message = alice.message(&id).await;
        (message["attempts"] != 0).then_some(())
    })
    .await;
    let audit = admin.get("/admin/audit?limit=200").await.expect(200);
    secrets.watched.saw("the audit", audit.to_string());
    check(secrets, herald).await;
}

#[rstest]
#[tokio::test]
async fn nothing_that_comes_in_is_repeated_without_tls_and_over_websocket(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut secrets = Secrets::new();
    let mut settings = talkative("http://127.0.0.1:1/").to_vec();
    settings.push(("HERALD_TLS__MODE", "off"));
    let herald = Herald::start_with(&settings).await;
    let create = herald.cli(&["admin", "create", "alice"]);
    create.input(&password("alice")).succeed().await;
    heads(&mut secrets, &herald).await;
    mqtt(&mut secrets, &herald, version, true).await;
    check(secrets, herald).await;
}
