//! A server, its users, and what scripts ask for.

use std::time::Duration;

use herald_tests::{Herald, Http, NodeService, WEBHOOK_SECRET};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::interval};

/// Sends under way at once.
const SENDS: usize = 32;

/// What is not in the way of tests that send much.
const NO_LIMITS: [(&str, &str); 3] = [
    ("HERALD_LIMITS__SENDS_PER_MINUTE", "0"),
    ("HERALD_LIMITS__REQUESTS_PER_MINUTE", "0"),
    ("HERALD_LIMITS__REQUESTS_PER_MINUTE_PER_ADDRESS", "0"),
];

pub(crate) struct World {
    herald: Herald,
    _service: Option<NodeService>,
}

impl World {
    /// A server with alice and bob, which processes after `delay_ms`.
    pub(crate) async fn start(delay_ms: u64) -> Self {
        Self::start_with(delay_ms, &[]).await
    }

    /// With more settings.
    pub(crate) async fn start_with(delay_ms: u64, settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = NO_LIMITS.iter().chain(settings).copied().collect();
        let mut herald = Herald::stopped_on_own_ports(&settings);
        herald.begin().await;
        let world = Self {
            herald,
            _service: None,
        };
        let admin = world.herald.http("admin").await;
        for user in ["alice", "bob"] {
            admin.create_user(user, "user").await;
        }
        admin
            .set_delay(json!({"mode": "fixed", "ms": delay_ms}))
            .await;
        world
    }

    /// With a service that fails what begins with "fail".
    pub(crate) async fn with_service(delay_ms: u64, settings: &[(&str, &str)]) -> Self {
        let service = NodeService::start(|node| {
            node.arg("web/service.mjs")
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/js"))
        });
        let service = service.await;
        let own = [
            ("HERALD_WORKER__PROCESSOR", "webhook"),
            ("HERALD_WORKER__BACKOFF_MS", "10"),
            ("HERALD_WEBHOOK__URL", service.url()),
            ("HERALD_WEBHOOK__SECRET", WEBHOOK_SECRET),
        ];
        let settings: Vec<_> = own.iter().chain(settings).copied().collect();
        let world = Self::start_with(delay_ms, &settings).await;
        Self {
            _service: Some(service),
            ..world
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.herald.http_address())
    }

    pub(crate) fn herald(&self) -> &Herald {
        &self.herald
    }

    /// Does what a script asks for.
    pub(crate) async fn answer(&mut self, asked: &Value) -> Value {
        let user = asked["user"].as_str().unwrap_or("alice");
        let body = asked["body"].as_str().unwrap_or_default();
        match asked["ask"].as_str().unwrap() {
            "kill" => self.herald.kill().await,
            "start" => self.herald.begin().await,
            "delay" => {
                let apply = asked["apply_to_queued"] == true;
                let delay = json!({"mode": "fixed", "ms": asked["ms"], "apply_to_queued": apply});
                self.herald.http("admin").await.set_delay(delay).await;
            }
            "administrator" => {
                let admin = self.herald.http("admin").await;
                admin.create_user(user, "admin").await;
            }
            "deny" => {
                let [subject, filter] =
                    ["subject", "filter"].map(|key| asked[key].as_str().unwrap());
                let admin = self.herald.http("admin").await;
                admin.deny(subject, "subscribe", filter).await;
            }
            "count" => {
                let count = count(&self.herald.http(user).await, body).await;
                return json!({"count": count});
            }
            "processed" => {
                let http = self.herald.http(user).await;
                let id = http.send_message(body).await;
                http.processed(&id).await;
            }
            "ids" => {
                let page = self
                    .herald
                    .http(user)
                    .await
                    .get("/messages?limit=200")
                    .await;
                let items = page.expect(200)["items"].as_array().unwrap().clone();
                let ids: Vec<_> = items.iter().map(|item| item["id"].clone()).collect();
                return json!({"ids": ids});
            }
            "cancel" => {
                let http = self.herald.http(user).await;
                let page = http.get("/messages?limit=200").await.expect(200);
                let items = page["items"].as_array().unwrap();
                let item = items.iter().find(|item| item["body"] == body).unwrap();
                let id = item["id"].as_str().unwrap();
                http.delete(&format!("/messages/{id}")).await.expect(204);
            }
            "get" => {
                let path = asked["path"].as_str().unwrap();
                return self.herald.http(user).await.get(path).await.expect(200);
            }
            "use" => {
                let token = asked["token"].as_str().unwrap();
                let answer = Http::bearer(&self.herald, token).get("/auth/session").await;
                return json!({"status": answer.status.as_u16()});
            }
            "send" => {
                let prefix = asked["prefix"].as_str().unwrap_or("number");
                let http = self.herald.http(user).await;
                let count = asked["count"].as_u64().unwrap();
                send(&http, prefix, count, asked["per_s"].as_u64()).await;
            }
            other => panic!("a script asks for {other}"),
        }
        json!({})
    }
}

/// How many messages of the newest page have this body.
async fn count(http: &Http, body: &str) -> usize {
    let page = http.get("/messages?limit=200").await.expect(200);
    let items = page["items"].as_array().unwrap();
    items.iter().filter(|item| item["body"] == body).count()
}

/// Sends "PREFIX N." for all N below `count`: the first one first, and the last one last.
async fn send(http: &Http, prefix: &str, count: u64, per_s: Option<u64>) {
    let one = |n: u64| {
        let (http, body) = (http.clone(), format!("{prefix} {n}."));
        async move {
            http.send_message(&body).await;
        }
    };
    let mut pace = per_s.map(|n| interval(Duration::from_secs(1) / u32::try_from(n).unwrap()));
    one(0).await;
    let mut under_way = JoinSet::new();
    for n in 1..count - 1 {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        if under_way.len() == SENDS {
            under_way.join_next().await.unwrap().unwrap();
        }
        under_way.spawn(one(n));
    }
    under_way.join_all().await;
    one(count - 1).await;
}
