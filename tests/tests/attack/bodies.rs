//! Bodies of those who have not signed in.

use futures_util::future::join_all;
use h2::client;

use crate::{
    survive::{Memory, survive},
    wire,
    world::World,
};

/// Streams of one HTTP/2 connection.
const STREAMS: usize = 100;

/// What a stream sends of its body, in bytes.
const SENT: usize = 390 * 1024;

/// Keys of one JSON object.
const KEYS: usize = 44_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_end() {
    survive(
        "HTTP/2 bodies that do not end, without sign-in",
        &[],
        Memory(160 * 1024),
        async |_| {},
        async |world| {
            let connections = world.size.pick(4, 30);
            join_all((0..connections).map(|_| send_without_end(world))).await;
        },
    )
    .await;
}

/// Sends the bodies of many requests but for their ends.
async fn send_without_end(world: &World) {
    let Some(stream) = wire::connect(world).await else {
        return;
    };
    let Ok((requests, connection)) = client::handshake(stream).await else {
        return;
    };
    let sending = async {
        let mut bodies = vec![];
        for path in ["auth/login", "messages"].into_iter().cycle().take(STREAMS) {
            let request = http::Request::post(format!("http://localhost/api/v1/{path}"))
                .header("content-type", "application/json")
                .body(())
                .unwrap();
            let Ok(mut ready) = requests.clone().ready().await else {
                break;
            };
            if let Ok((_, mut body)) = ready.send_request(request, false) {
                // h2 hands it over as the server takes it.
                let _ = body.send_data(vec![b' '; SENT].into(), false);
                bodies.push(body);
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => {}
        _ = connection => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_very_many_keys() {
    survive(
        "objects of 44,000 keys, without sign-in",
        &[],
        Memory(160 * 1024),
        async |_| {},
        async |world| {
            let keys: Vec<String> = (0..KEYS).map(|n| format!("\"{n:05}\":1")).collect();
            let body = format!("{{{}}}", keys.join(","));
            let length = body.len();
            let request = format!(
                "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            );
            let each = world.size.pick(5, 1_000);
            join_all((0..16).map(|_| wire::repeat(world, request.as_bytes(), each))).await;
        },
    )
    .await;
}
