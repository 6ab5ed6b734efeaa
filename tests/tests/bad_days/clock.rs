//! A system clock that is set back and forward, under the running server and while it is stopped.

use herald_tests::{
    FakeClock, Herald, Version,
    raw::{Connect, Raw},
};
use serde_json::{Value, json};

/// What the running server says of a clock that was set back.
const SET_BACK: &str = "the system's clock was set back; this process goes on";

/// What a start says of messages that were accepted while the clock was ahead.
const AHEAD: &str = "messages wait that were accepted while the system's clock was ahead";

/// A server that sees this clock.
fn server(clock: &FakeClock) -> Herald {
    let settings = clock.settings();
    let settings = settings
        .each_ref()
        .map(|(key, value)| (*key, value.as_str()));
    Herald::stopped(&settings)
}

/// Sends a message after setting the delay. Returns its id.
async fn send(herald: &Herald, body: &str, delay_ms: u32) -> String {
    let admin = herald.http("admin").await;
    admin
        .set_delay(json!({"mode": "fixed", "ms": delay_ms}))
        .await;
    admin.send_message(body).await
}

/// Listens as the administrator, in a session that outlives the connection.
async fn listen(herald: &Herald) -> Raw {
    let connect = Connect::kept("admin");
    let mut raw = Raw::connect_as(herald, Version::V5, &connect).await;
    assert_eq!(raw.subscribe("users/admin/notifications").await, 1);
    raw
}

/// The next notification must be this one.
async fn hears(raw: &mut Raw, seq: i64, body: &str) {
    let heard = raw.take().await;
    let heard: Value = serde_json::from_str(&heard.payload).unwrap();
    assert_eq!(
        (&heard["seq"], &heard["message"]["body"]),
        (&json!(seq), &json!(body))
    );
}

fn count(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[tokio::test]
async fn a_clock_set_back_under_the_running_server_delays_nothing() {
    let clock = FakeClock::new();
    let mut herald = server(&clock);
    herald.begin().await;
    let admin = herald.http("admin").await;
    let mut raw = listen(&herald).await;
    let (mut seq, mut all) = (0, vec![]);
    for offset in ["-3600", "+0", "-3600", "-7200", "+3600", "+0"] {
        let waiting = format!("waiting before {offset}");
        send(&herald, &waiting, 300).await;
        clock.set(offset);
        // This one starts while the other waits.
        send(&herald, &format!("sent at {offset}"), 0).await;
        send(&herald, &format!("sent to wait at {offset}"), 20).await;
        let mut heard = vec![];
        for _ in 0..3 {
            let next = raw.take().await;
            let next: Value = serde_json::from_str(&next.payload).unwrap();
            seq += 1;
            assert_eq!(next["seq"], seq, "{next}");
            heard.push(next["message"]["body"].as_str().unwrap().to_owned());
        }
        heard.sort();
        let sent = [
            format!("sent at {offset}"),
            format!("sent to wait at {offset}"),
            waiting,
        ];
        assert_eq!(heard, sent);
        let [at_once, to_wait, waiting] = sent;
        all.extend([waiting, at_once, to_wait]);
    }
    // Newest first, whatever the clock showed.
    let listed = admin.get("/messages").await.expect(200);
    let listed = listed["items"].as_array().unwrap().iter().rev();
    let listed: Vec<_> = listed.map(|item| item["body"].as_str().unwrap()).collect();
    assert_eq!(listed, all);
    raw.ping().await;
    let log = herald.logged(SET_BACK, 3).await;
    // Back from +0, back from +0 again, and back from +3600; -7200 is further behind, and not another time.
    assert_eq!(count(&log, SET_BACK), 3, "{log}");
    herald.stop().await;
}

#[tokio::test]
async fn a_start_warns_of_what_waits_since_the_clock_was_ahead() {
    let clock = FakeClock::new();
    let mut herald = server(&clock);
    herald.begin().await;
    let mut raw = listen(&herald).await;
    let finished = send(&herald, "finished", 0).await;
    hears(&mut raw, 1, "finished").await;
    // Or it would come again.
    herald.http("admin").await.delivered(&finished).await;
    send(&herald, "waiting", 600_000).await;
    herald.kill().await;

    clock.set("-3600");
    herald.begin().await;
    let log = herald.logged(AHEAD, 1).await;
    let warning = log.lines().find(|line| line.contains(AHEAD)).unwrap();
    let warning: Value = serde_json::from_str(warning).unwrap();
    assert_eq!(
        (&warning["level"], &warning["messages"]),
        (&json!("WARN"), &json!(1)),
        "{warning}"
    );
    let mut raw = listen(&herald).await;
    // What it says can be done.
    let admin = herald.http("admin").await;
    admin
        .set_delay(json!({"mode": "fixed", "ms": 0, "apply_to_queued": true}))
        .await;
    hears(&mut raw, 2, "waiting").await;
    send(&herald, "by the new clock", 0).await;
    hears(&mut raw, 3, "by the new clock").await;
    herald.kill().await;

    herald.begin().await;
    let log = herald.stderr();
    assert_eq!(count(&log, AHEAD), 0, "{log}");
}
