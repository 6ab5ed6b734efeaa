//! What the first load costs, as a browser gets it.

use herald_tests::Http;
use reqwest::Method;
use serde::Deserialize;

use crate::{browser::run, world::World};

/// Bytes of JavaScript, compressed, until a user's messages are live: MQTT.js is among them.
const FIRST_LOAD: u64 = 120_000;

const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A script that the browser fetched.
#[derive(Deserialize)]
struct Script {
    path: String,
    /// Of its body, as it was transferred.
    bytes: u64,
    encoding: String,
    caching: String,
}

#[tokio::test]
async fn all_that_is_fetched_until_a_page_is_live_is_less_than_120_kb_of_javascript() {
    let mut world = World::start(0).await;
    let printed = run("size", "", &mut world).await;
    let scripts: Vec<Script> = serde_json::from_str(&printed).unwrap();
    for script in &scripts {
        println!("{:>8} {}", script.bytes, script.path);
        assert_eq!(script.encoding, "br", "{}", script.path);
        assert_eq!(script.caching, FOR_EVER, "{}", script.path);
    }
    let bytes: u64 = scripts.iter().map(|script| script.bytes).sum();
    println!("{bytes:>8} in all");
    // Not only those that the page names: this one is fetched after signing in.
    assert!(scripts.iter().any(|s| s.path.starts_with("/assets/mqtt-")));
    assert!(bytes < FIRST_LOAD, "{bytes} bytes of JavaScript");

    // A browser without brotli gets gzip.
    let http = Http::anonymous(world.herald());
    for Script { path, .. } in scripts {
        let request = http.request(Method::GET, &path);
        let answer = http.send(request.header("accept-encoding", "gzip")).await;
        assert_eq!(answer.headers["content-encoding"], "gzip", "{path}");
        assert_eq!(answer.headers["cache-control"], FOR_EVER, "{path}");
    }
}
