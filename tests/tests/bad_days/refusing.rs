//! A server that cannot write its database, and what it must not lose meanwhile.

use herald_tests::{
    Herald, Http, Version,
    raw::{Connect, Raw},
    until,
};
use serde_json::{Value, json};

const SENDS: &str = "users/alice/messages";

/// What the log says an operator should look at.
const ADVICE: &str = "check that the disk is not full";

/// A user who listens, and all of whose messages must be heard of.
pub(crate) struct Alice {
    pub(crate) http: Http,
    pub(crate) listening: Raw,
    token: String,
    accepted: Vec<String>,
}

impl Alice {
    /// The only user of `herald`, whose messages wait for some milliseconds.
    pub(crate) async fn new(herald: &Herald) -> Self {
        let admin = herald.http("admin").await;
        let delay = json!({"mode": "uniform", "min_ms": 0, "max_ms": 50});
        admin.set_delay(delay).await;
        admin.create_user("alice", "user").await;
        let alice = herald.http("alice").await;
        let token = json!({"name": "test", "scopes": ["api", "mqtt"]});
        let token = alice.post("/tokens", &token).await.expect(201);
        let token = token["token"].as_str().unwrap().to_owned();
        Self {
            http: Http::bearer(herald, &token),
            listening: listen(herald, &token).await,
            token,
            accepted: vec![],
        }
    }

    /// Listens again on a server that is ready again, as the connection has ended.
    pub(crate) async fn listen_again(&mut self, herald: &Herald) {
        until("/readyz to be well", async || {
            (get(herald, "/readyz").await.status == 200).then_some(())
        })
        .await;
        self.listening = listen(herald, &self.token).await;
    }

    /// A new body, of this length at least.
    fn body(&self, length: usize) -> String {
        let number = self.accepted.len();
        format!("{number} {}", "x".repeat(length))
    }

    /// Connects to send over MQTT.
    pub(crate) async fn publisher(&self, herald: &Herald, version: Version, id: &str) -> Raw {
        let connect = Connect::of("alice").password(&self.token).client_id(id);
        Raw::connect_as(herald, version, &connect).await
    }

    /// Sends over HTTP. Whether it was accepted; if not, the answer must say that this passes.
    pub(crate) async fn post(&mut self, length: usize) -> bool {
        let body = self.body(length);
        let answer = self.http.post("/messages", &json!({"body": body})).await;
        if answer.status != 202 {
            answer.expect_problem(503, "not_ready");
            assert!(answer.headers.contains_key("retry-after"));
            return false;
        }
        self.accepted.push(body);
        true
    }

    /// Sends over MQTT. Whether it was accepted; if not, it must not have been acknowledged as if it were.
    async fn publish(&mut self, herald: &Herald, version: Version) -> bool {
        let mut raw = self.publisher(herald, version, "pub").await;
        let body = self.body(0);
        let payload = json!({"body": body}).to_string();
        let taken = match version {
            Version::V5 => match raw.publish(SENDS, &payload).await {
                0 => true,
                code => {
                    assert!([0x80, 0x97].contains(&code), "PUBACK {code:#x}");
                    false
                }
            },
            Version::V311 => {
                raw.publish_only(SENDS, &payload).await;
                raw.packet().await.is_some()
            }
        };
        if taken {
            self.accepted.push(body);
        }
        taken
    }

    /// Sends in every way until no way is taken any more, and looks at what the server says of itself.
    pub(crate) async fn finds_nothing_taken(&mut self, herald: &Herald) {
        self.finds_nothing_taken_since(herald, "cannot be written", ADVICE)
            .await;
        // What is there can be read.
        self.http.get("/messages").await.expect(200);
    }

    /// The same, with what `/readyz` says is the reason, and what the log advises.
    pub(crate) async fn finds_nothing_taken_since(
        &mut self,
        herald: &Herald,
        reason: &str,
        advice: &str,
    ) {
        until("a large message to be refused", async || {
            (!self.post(20_000).await).then_some(())
        })
        .await;
        until("everything to be refused", async || {
            let http = self.post(0).await;
            let v5 = self.publish(herald, Version::V5).await;
            let v311 = self.publish(herald, Version::V311).await;
            (!http && !v5 && !v311).then_some(())
        })
        .await;
        let ready = until("/readyz to say so", async || {
            let ready = get(herald, "/readyz").await;
            (ready.status != 200).then_some(ready)
        })
        .await;
        ready.expect_problem(503, "not_ready");
        assert!(ready.text.contains(reason), "{ready:?}");
        assert_eq!(get(herald, "/healthz").await.status, 200);
        let log = herald.logged(advice, 1).await;
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Waits until the server takes messages again, and until everything accepted so far was heard of once, in order of its
    /// number. Nothing else was kept.
    pub(crate) async fn finds_all_well(&mut self, herald: &Herald) {
        until("/readyz to be well", async || {
            (get(herald, "/readyz").await.status == 200).then_some(())
        })
        .await;
        assert!(self.post(20_000).await, "over HTTP");
        for version in Version::BOTH {
            assert!(self.publish(herald, version).await, "{version:?}");
        }
        let mut bodies = vec![];
        for number in 1..=self.accepted.len() {
            let heard = self.listening.take().await;
            let heard: Value = serde_json::from_str(&heard.payload).unwrap();
            assert_eq!(heard["seq"], number, "{heard}");
            assert_eq!(heard["message"]["status"], "processed", "{heard}");
            bodies.push(heard["message"]["body"].as_str().unwrap().to_owned());
        }
        bodies.sort_by_key(|body| body.split(' ').next().unwrap().parse::<usize>().unwrap());
        assert!(bodies == self.accepted, "each once, and nothing else");
        let waiting = self.http.get("/messages?status=queued").await.expect(200);
        assert_eq!(waiting["items"], json!([]));
    }
}

async fn listen(herald: &Herald, token: &str) -> Raw {
    let connect = Connect::of("alice").password(token);
    let mut listening = Raw::connect_as(herald, Version::V5, &connect).await;
    assert_eq!(listening.subscribe("users/alice/notifications").await, 1);
    listening
}

pub(crate) async fn get(herald: &Herald, path: &str) -> herald_tests::Answer {
    let http = Http::anonymous(herald);
    http.send(http.request(reqwest::Method::GET, path)).await
}
