//! Clients that send, and send again what was not answered if they may.

use std::{collections::VecDeque, sync::Arc};

use herald_tests::{
    Http, Version,
    raw::{Link, Lost, Message, Packet},
};
use rand::{Rng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{listener::check_refusal, user::User, world::World};

/// PUBLISHes that are under way at once.
const BURST: usize = 8;

/// MQTT 5: not stored, try again.
const TRY_AGAIN: [u8; 2] = [0x80, 0x97];

/// One client that sends. With `keyed`, each message has an idempotency key, and is sent until it is answered.
pub(crate) struct Sender {
    pub(crate) world: Arc<World>,
    pub(crate) user: Arc<User>,
    pub(crate) keyed: bool,
    pub(crate) chance: StdRng,
}

impl Sender {
    pub(crate) async fn over_http(mut self, http: Http) {
        while self.world.is_storm() {
            self.world.room(&self.user).await;
            let body = self.user.new_body(&mut self.chance);
            while !self.post(&http, &body).await && self.keyed {
                self.world.pause().await;
            }
            // Once more: it is the same message.
            if self.keyed && self.chance.random_ratio(1, 8) {
                self.post(&http, &body).await;
            }
        }
    }

    /// Whether the message was answered.
    async fn post(&self, http: &Http, body: &str) -> bool {
        let mut request = http
            .api(Method::POST, "/messages")
            .json(&json!({"body": body}));
        if self.keyed {
            request = request.header("Idempotency-Key", key(body));
        }
        let Ok(response) = request.send().await else {
            return false;
        };
        match response.status().as_u16() {
            202 => {}
            503 => return false,
            _ => panic!("{response:?}"),
        }
        // The status is a promise, even if the rest is lost.
        let accepted: Option<Value> = response.json().await.ok();
        let id = accepted.map(|message| message["id"].as_str().unwrap().to_owned());
        self.user.accepted(body, id);
        self.world.event();
        true
    }

    pub(crate) async fn over_mqtt(mut self, version: Version) {
        let connect = self
            .user
            .connect(&format!("{}-sender", self.user.name), false);
        let mut unanswered = VecDeque::new();
        while self.world.is_storm() || !unanswered.is_empty() {
            match Link::connect(&self.world.mqtt, version, &connect).await {
                Ok((link, connack)) if connack.code == 0 => {
                    let _lost: Result<(), Lost> = self.publish(link, &mut unanswered).await;
                }
                Ok((_, connack)) => check_refusal(version, connack.code),
                Err(Lost) => {}
            }
            if !self.keyed {
                unanswered.clear();
            }
            self.world.pause().await;
        }
    }

    /// Sends burst after burst until the connection is lost or everything is answered.
    async fn publish(
        &mut self,
        mut link: Link,
        unanswered: &mut VecDeque<String>,
    ) -> Result<(), Lost> {
        loop {
            self.world.room(&self.user).await;
            if self.world.is_storm() {
                let burst = self.chance.random_range(1..=BURST);
                while unanswered.len() < burst {
                    unanswered.push_back(self.user.new_body(&mut self.chance));
                }
            }
            if unanswered.is_empty() {
                return Ok(());
            }
            self.burst(&mut link, unanswered).await?;
        }
    }

    /// Sends what is unanswered, and waits for the answers.
    async fn burst(&self, link: &mut Link, unanswered: &mut VecDeque<String>) -> Result<(), Lost> {
        let topic = format!("users/{}/messages", self.user.name);
        for (body, id) in unanswered.iter().zip(1..) {
            let mut payload = json!({"body": body});
            if self.keyed {
                payload["idempotency_key"] = key(body).into();
            }
            let message = Message::new(&topic, &payload.to_string()).qos(1);
            link.publish(id, &message).await?;
        }
        // Answers come in order (MQTT 5 section 4.6).
        for id in 1..=unanswered.len() {
            let code = match link.packet().await? {
                Packet::Puback { code, id: of, .. } => {
                    assert_eq!(usize::from(of), id, "answers come in order");
                    code
                }
                // From a server that stops; then the connection ends.
                Packet::Disconnect { .. } => return Err(Lost),
                other => panic!("PUBACK expected: {other:?}"),
            };
            let body = unanswered.pop_front().expect("one for each answer");
            if code == 0 {
                self.user.accepted(&body, None);
                self.world.event();
            } else {
                assert!(TRY_AGAIN.contains(&code), "PUBACK {code:#x}");
                if self.keyed {
                    unanswered.push_back(body);
                }
            }
        }
        Ok(())
    }
}

/// The key of the message with this body.
fn key(body: &str) -> String {
    body.replace(' ', "-")
}
