use std::{sync::Arc, time::Duration};

use herald_store::{Outcome, Seq, Timestamp};
use serde_json::{Value, json};

use crate::client::{Browser, Herald};

/// Sends messages and finishes them: all but the last well.
async fn fill_inbox(herald: &Herald, browser: &Browser<'_>, messages: usize) {
    for n in 1..=messages {
        let call = browser
            .post("/api/v1/messages")
            .json(json!({"body": n.to_string()}));
        call.send().await.expect(202);
    }
    let later = Timestamp::now() + Duration::from_secs(5);
    let store = &herald.store;
    let jobs = store
        .claim(messages as u32, Duration::from_secs(30), later)
        .await
        .unwrap();
    assert_eq!(jobs.len(), messages);
    for (n, job) in jobs.iter().enumerate() {
        let outcome = if n + 1 < messages {
            Outcome::Processed {
                result: job.body.clone(),
            }
        } else {
            Outcome::Dead {
                error: "no luck".into(),
            }
        };
        let finished = store.finish(job, outcome, later).await.unwrap();
        assert!(finished.is_some());
    }
}

#[tokio::test]
async fn the_inbox_holds_what_mqtt_would_deliver() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    fill_inbox(&herald, &alice, 3).await;
    let list = alice.get("/api/v1/notifications").send().await.expect(200);
    assert_eq!(list.json["next"], Value::Null);

    let user = herald.accounts.verify("alice", crate::client::PASSWORD);
    let user = user.await.unwrap().unwrap();
    let stored = herald
        .store
        .notifications(&user.id, Seq::NONE, 10, usize::MAX)
        .await
        .unwrap()
        .items;
    let stored: Vec<Value> = stored
        .iter()
        .map(|notification| serde_json::from_str(&notification.payload).unwrap())
        .collect();
    assert_eq!(list.json["items"], json!(stored));
    assert_eq!(stored[0]["type"], "message.processed");
    assert_eq!(stored[2]["type"], "message.failed");
}

#[tokio::test]
async fn the_inbox_is_read_page_by_page() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    fill_inbox(&herald, &alice, 3).await;
    let page = alice.get("/api/v1/notifications?limit=2").send().await;
    let page = page.expect(200).json;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["next"], 2);
    let page = alice.get("/api/v1/notifications?after=2").send().await;
    let page = page.expect(200).json;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["seq"], 3);
    assert_eq!(page["next"], Value::Null);
    for query in ["after=-1", "after=x", "limit=0"] {
        let call = alice.get(&format!("/api/v1/notifications?{query}"));
        call.send().await.expect_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn nobody_sees_anothers_inbox() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let bob = herald.browser("bob").await;
    fill_inbox(&herald, &alice, 1).await;
    let list = bob.get("/api/v1/notifications").send().await.expect(200);
    let epoch = herald.store.epoch();
    assert_eq!(
        list.json,
        json!({"items": [], "next": null, "epoch": epoch, "restarted": false})
    );
}

#[tokio::test]
async fn acknowledging_never_goes_back_nor_beyond_the_last() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    fill_inbox(&herald, &alice, 3).await;
    for (up_to, acked) in [(2, 2), (1, 2), (i64::MAX, 3)] {
        let call = alice
            .post("/api/v1/notifications/ack")
            .json(json!({"up_to": up_to}));
        let answer = call.send().await.expect(200);
        assert_eq!(answer.json["acked"], acked);
    }
    let messages = alice.get("/api/v1/messages").send().await.expect(200);
    assert!(messages.json["items"][0]["delivered_at"].is_string());
    for wrong in [json!({"up_to": -1}), json!({"up_to": "x"}), json!({})] {
        let call = alice.post("/api/v1/notifications/ack").json(wrong);
        call.send().await.expect_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn one_client_id_is_moved_on_and_nothing_else_is() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let bob = herald.browser("bob").await;
    fill_inbox(&herald, &alice, 3).await;
    fill_inbox(&herald, &bob, 3).await;
    let (phone, tv): (Arc<str>, Arc<str>) = ("phone".into(), "tv".into());
    let user_id = async |name: &str| {
        let user = herald.accounts.verify(name, crate::client::PASSWORD).await;
        user.unwrap().unwrap().id
    };
    let place = async |name: &str, client_id: &Arc<str>| {
        let user = user_id(name).await;
        let place = herald
            .store
            .cursor(&user, client_id, Seq::NONE, Timestamp::now());
        place.await.unwrap().acked.0
    };
    for (name, client_id) in [("alice", &phone), ("alice", &tv), ("bob", &phone)] {
        assert_eq!(place(name, client_id).await, 0);
    }
    let epoch = herald.store.epoch();
    for (more, up_to, acked) in [
        (json!({"epoch": "another"}), 3, 0),
        (json!({"epoch": epoch}), 2, 2),
        (json!({}), 1, 2),
        (json!({}), 0, 2),
        (json!({}), i64::MAX, 3),
    ] {
        let mut ack = json!({"up_to": up_to, "client_id": "phone"});
        ack.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let call = alice.post("/api/v1/notifications/ack").json(ack);
        let answer = call.send().await.expect(200);
        assert_eq!(answer.json, json!({"acked": acked, "epoch": epoch}));
        assert_eq!(place("alice", &phone).await, acked);
    }
    assert_eq!(place("alice", &tv).await, 0);
    assert_eq!(place("bob", &phone).await, 0);
    let user = herald
        .store
        .position(&user_id("alice").await)
        .await
        .unwrap();
    assert_eq!(user.acked, Seq::NONE);
    let messages = alice.get("/api/v1/messages").send().await.expect(200);
    assert_eq!(messages.json["items"][0]["delivered_at"], Value::Null);
    for (client_id, status, code) in [
        ("Phone", 404, "not_found"),
        ("", 404, "not_found"),
        (&"x".repeat(257), 400, "bad_request"),
    ] {
        let ack = json!({"up_to": 1, "client_id": client_id});
        let call = alice.post("/api/v1/notifications/ack").json(ack);
        call.send().await.expect_problem(status, code);
    }
    // 256 characters, but twice as many bytes.
    let ack = json!({"up_to": 1, "client_id": "ü".repeat(256)});
    let call = alice.post("/api/v1/notifications/ack").json(ack);
    let problem = call.send().await.expect_problem(400, "bad_request");
    let detail = "client_id: a client id has at most 256 bytes";
    assert_eq!(problem.json["detail"], detail);
    let ack = json!({"up_to": 1, "client_id": "tv"});
    let call = bob.post("/api/v1/notifications/ack").json(ack);
    call.send().await.expect_problem(404, "not_found");
}
