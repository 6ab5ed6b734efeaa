//! Large answers that are not taken.

use std::time::Duration;

use futures_util::future::{join, join_all};
use h2::client;
use serde_json::json;

use crate::{
    survive::{Memory, survive},
    wire,
    world::World,
};

/// The longest text of a message, in bytes.
const LONGEST: usize = 64 * 1024;

/// Streams of one HTTP/2 connection.
const STREAMS: usize = 100;

/// A body that JSON makes six times as long.
pub(crate) fn control_characters() -> String {
    "\u{1}".repeat(LONGEST)
}

/// Sends so many of the longest messages as the attacker, or as many as the server takes. Returns the id of one.
pub(crate) async fn fill(world: &World, messages: usize) -> String {
    let body = json!({"body": control_characters()});
    let mut id = None;
    for _ in 0..messages {
        let answer = world.attacker.http.post("/messages", &body).await;
        if answer.status != 202 {
            break;
        }
        let sent = answer.expect(202)["id"].as_str().unwrap().to_owned();
        id = Some(sent);
    }
    let id = id.expect("the first is taken");
    world.attacker.http.processed(&id).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_are_read_slowly() {
    let messages = |world: &World| world.size.pick(20, 200);
    survive(
        "lists that are read slowly",
        &[],
        Memory(160 * 1024),
        async |world| drop(fill(world, messages(world)).await),
        async |world| {
            let connections = world.size.pick(12, 42);
            let request = wire::get("/messages?limit=200", &world.attacker);
            // Those that take next to nothing, and those that take just enough.
            let slowest = (0..connections)
                .map(|_| wire::read_slowly(world, &request, 34 * 1024, Duration::from_secs(18)));
            let slow = (0..connections)
                .map(|_| wire::read_slowly(world, &request, 8 * 1024, Duration::from_millis(200)));
            join(join_all(slowest), join_all(slow)).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_whose_answers_are_not_taken() {
    survive(
        "HTTP/2 streams whose answers are not taken",
        &[],
        Memory(160 * 1024),
        async |_| {},
        async |world| {
            let id = fill(world, 1).await;
            let connections = world.size.pick(3, 30);
            join_all((0..connections).map(|_| ask_and_take_nothing(world, &id))).await;
        },
    )
    .await;
}

/// Asks for one message on many streams, and takes nothing.
async fn ask_and_take_nothing(world: &World, id: &str) {
    let Some(stream) = wire::connect(world).await else {
        return;
    };
    let Ok((requests, connection)) = client::handshake(stream).await else {
        return;
    };
    let asking = async {
        let mut answers = vec![];
        for _ in 0..STREAMS {
            let request = http::Request::get(format!("http://localhost/api/v1/messages/{id}"))
                .header("authorization", format!("Bearer {}", world.attacker.token))
                .body(())
                .unwrap();
            let Ok(mut ready) = requests.clone().ready().await else {
                break;
            };
            if let Ok((answer, _)) = ready.send_request(request, true) {
                answers.push(answer);
            }
        }
        // Heads are taken, bodies are not.
        let _heads = join_all(answers).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = asking => {}
        _ = connection => {}
    }
}
