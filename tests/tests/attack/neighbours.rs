//! Users who do what users do, and what they notice.

use std::time::Duration;

use futures_util::future::join_all;
use herald_tests::{
    Http, Version,
    raw::{Connect, Raw},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    figures::Times,
    world::{Account, World},
};

/// Between two rounds of a neighbour.
const PAUSE: Duration = Duration::from_millis(25);

/// What neighbours noticed.
#[derive(Debug, Default)]
pub(crate) struct Noticed {
    /// From a send to its 202.
    pub(crate) send: Times,
    /// From a send to its notification.
    pub(crate) notification: Times,
    /// A list of one's messages.
    pub(crate) read: Times,
    /// `GET /healthz`.
    pub(crate) health: Times,
    /// What was not answered as it should be.
    pub(crate) failures: Vec<String>,
}

impl Noticed {
    /// The kinds of times, with their names.
    pub(crate) fn kinds(&self) -> [(&'static str, &Times); 4] {
        [
            ("send", &self.send),
            ("notification", &self.notification),
            ("read", &self.read),
            ("/healthz", &self.health),
        ]
    }

    fn join(&mut self, other: Self) {
        self.send.join(other.send);
        self.notification.join(other.notification);
        self.read.join(other.read);
        self.health.join(other.health);
        self.failures.extend(other.failures);
    }
}

/// What the neighbours notice for as long as they are to be watched.
pub(crate) async fn watch(world: &World) -> Noticed {
    let end = Instant::now() + world.size.watch();
    let all = world.neighbours.iter().map(|user| live(world, user, end));
    let mut noticed = Noticed::default();
    for one in join_all(all).await {
        noticed.join(one);
    }
    noticed
}

/// Rounds of one neighbour until `end`.
async fn live(world: &World, user: &Account, end: Instant) -> Noticed {
    let connect = Connect::of(user.name).password(&user.token);
    let mut mqtt = Raw::connect_as(&world.herald, Version::V5, &connect).await;
    let inbox = format!("users/{}/notifications", user.name);
    assert_eq!(mqtt.subscribe(&inbox).await, 1);
    let mut noticed = Noticed::default();
    // One round at least, however slow the machine is.
    while noticed.notification.count() == 0 || Instant::now() < end {
        if !noticed.failures.is_empty() {
            break;
        }
        round(&user.http, &mut mqtt, &mut noticed).await;
        sleep(PAUSE).await;
    }
    mqtt.disconnect().await;
    noticed
}

async fn round(http: &Http, mqtt: &mut Raw, noticed: &mut Noticed) {
    let since = Instant::now();
    let send = http
        .api(Method::POST, "/messages")
        .json(&json!({"body": "hello"}));
    let Some(sent) = ask(send, 202, &mut noticed.send, &mut noticed.failures).await else {
        return;
    };
    let sent: Value = serde_json::from_str(&sent).unwrap();
    loop {
        let heard: Value = serde_json::from_str(&mqtt.take().await.payload).unwrap();
        if heard["message"]["id"] == sent["id"] {
            break;
        }
    }
    noticed.notification.add(since.elapsed());
    let read = http.api(Method::GET, "/messages?limit=20");
    ask(read, 200, &mut noticed.read, &mut noticed.failures).await;
    let health = http.request(Method::GET, "/healthz");
    ask(health, 200, &mut noticed.health, &mut noticed.failures).await;
    let ready = http.request(Method::GET, "/readyz");
    ask(ready, 200, &mut Times::default(), &mut noticed.failures).await;
}

/// Sends `request`, and adds what it took to `times`. Its answer, unless that is not `expected`: then a failure.
async fn ask(
    request: RequestBuilder,
    expected: u16,
    times: &mut Times,
    failures: &mut Vec<String>,
) -> Option<String> {
    let since = Instant::now();
    let answered = async {
        let answer = request.send().await?;
        let (status, path) = (answer.status().as_u16(), answer.url().path().to_owned());
        Ok::<_, reqwest::Error>((status, path, answer.text().await?))
    };
    match answered.await {
        Ok((status, _, text)) if status == expected => {
            times.add(since.elapsed());
            Some(text)
        }
        Ok((status, path, text)) => {
            failures.push(format!("{path}: {status} {text:.200}"));
            None
        }
        Err(error) => {
            failures.push(error.to_string());
            None
        }
    }
}
