//! Tokens that were made by tokens.

use herald_tests::Http;
use serde_json::json;

use crate::{
    survive::{Memory, survive},
    world::World,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_tokens_that_ends() {
    survive(
        "chains of derived tokens that are revoked",
        &[],
        Memory(100 * 1024),
        async |_| {},
        async |world| {
            for _ in 0..world.size.pick(1, 10) {
                chain(world).await;
            }
        },
    )
    .await;
}

/// Makes a token by a token by a token, as far as the server goes along, and revokes the first.
async fn chain(world: &World) {
    let wanted = json!({"name": "link", "scopes": ["api"]});
    let mut first = None;
    let mut http = world.attacker.http.clone();
    for _ in 0..1_000 {
        let answer = http.post("/tokens", &wanted).await;
        if answer.status != 201 {
            break;
        }
        let made = answer.expect(201);
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        first.get_or_insert_with(|| text("id"));
        http = Http::bearer(&world.herald, &text("token"));
    }
    if let Some(id) = first {
        world.attacker.http.delete(&format!("/tokens/{id}")).await;
    }
}
