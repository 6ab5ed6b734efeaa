//! The queue as administrators see it.

use std::time::Duration;

use herald_store::Timestamp;
use serde_json::{Value, json};

use crate::client::Herald;

const QUEUE: &str = "/api/v1/admin/queue";

#[tokio::test]
async fn the_queue_is_counted_and_timed() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let mut sent = vec![];
    for body in ["one", "two"] {
        let call = admin.post("/api/v1/messages").json(json!({"body": body}));
        sent.push(call.send().await.expect(202).json);
    }
    let seen = admin.get(QUEUE).send().await.expect(200).json;
    let counts = json!({"queued": 2, "processing": 0, "processed": 0, "dead": 0, "cancelled": 0});
    let expected = json!({
        "paused": false, "counts": counts, "oldest_due": sent[0]["run_at"],
        "counted_at": seen["counted_at"], "processed_per_s": 0.0, "latency": null,
    });
    assert_eq!(seen, expected);

    let due = Timestamp::now();
    herald.throughput.ended(due, due + Duration::from_millis(9));
    let seen = admin.get(QUEUE).send().await.expect(200).json;
    assert_eq!(seen["latency"], json!({"p50_ms": 9, "p99_ms": 9}));
    let rate = seen["processed_per_s"].as_f64().unwrap();
    assert!(rate > 0.0 && rate <= 1.0, "{rate}");
}

#[tokio::test]
async fn the_last_hour_is_shown_minute_by_minute() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let due = Timestamp::now();
    for took in [9, 9, 12] {
        let at = due + Duration::from_millis(took);
        herald.throughput.ended(due, at);
    }
    let history = admin.get(&format!("{QUEUE}/history")).send().await;
    let history = history.expect(200).json;
    let minutes = history["items"].as_array().unwrap();
    let last = minutes.last().unwrap();
    assert_eq!(last["processed"], 3, "{history}");
    assert_eq!(last["latency"], json!({"p50_ms": 9, "p99_ms": 12}));
    assert!(last["at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_paused_queue_gives_nothing_until_it_is_resumed() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let call = admin.post("/api/v1/messages").json(json!({"body": "x"}));
    call.send().await.expect(202);
    let later = Timestamp::now() + Duration::from_secs(5);
    let claim = async || {
        let lease = Duration::from_secs(30);
        herald.store.claim(9, lease, later).await.unwrap().len()
    };
    for _ in 0..2 {
        let paused = admin.post(&format!("{QUEUE}/pause")).send().await;
        paused.expect(204);
        assert_eq!(claim().await, 0);
        let seen = admin.get(QUEUE).send().await.expect(200).json;
        assert_eq!(seen["paused"], Value::Bool(true));
    }
    let resumed = admin.post(&format!("{QUEUE}/resume")).send().await;
    resumed.expect(204);
    assert_eq!(claim().await, 1);
    let seen = admin.get(QUEUE).send().await.expect(200).json;
    assert_eq!(seen["paused"], Value::Bool(false));
}
