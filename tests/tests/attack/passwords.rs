//! Wrong passwords.

use futures_util::future::join_all;

use crate::{
    survive::{Memory, survive},
    wire,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_of_very_many_names() {
    survive(
        "wrong passwords",
        &[],
        Memory(120 * 1024),
        async |_| {},
        async |world| {
            let connections = world.size.pick(8, 64);
            let each = world.size.pick(4, 500);
            let guesses = (0..connections).map(async |connection| {
                for guess in 0..each {
                    let body = format!(
                        r#"{{"username": "u{connection}-{guess}", "password": "a wrong one"}}"#
                    );
                    let length = body.len();
                    let request = format!(
                        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n\
                         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                    );
                    wire::repeat(world, request.as_bytes(), 1).await;
                }
            });
            join_all(guesses).await;
        },
    )
    .await;
}
