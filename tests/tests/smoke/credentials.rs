//! A request whose token or session has ended is refused, whatever the server remembers and however many requests are under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use herald_tests::{Herald, Http, password};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

/// A second is promised; a busy machine may take longer.
const SOON: Duration = Duration::from_secs(10);

const CLIENTS: usize = 6;

/// One that takes any number of requests, with alice.
async fn server() -> Herald {
    let settings = [
        ("HERALD_LIMITS__REQUESTS_PER_MINUTE", "0"),
        ("HERALD_LIMITS__REQUESTS_PER_MINUTE_PER_ADDRESS", "0"),
    ];
    Herald::with_users_and(&["alice"], &settings).await
}

/// Requests one after the other on each of several connections.
struct Load {
    /// Nothing may be answered that is asked from then on.
    is_over: Arc<AtomicBool>,
    clients: JoinSet<Instant>,
}

impl Load {
    /// Returns once every client was answered.
    async fn of(http: &Http) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let http = http.clone();
            http.get("/auth/session").await.expect(200);
            clients.spawn(until_refused(http, Arc::clone(&is_over)));
        }
        Self { is_over, clients }
    }

    /// What they ask with has ended, and whoever ended it was told so.
    async fn ended(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.refused().await;
    }

    /// Waits until all are refused. Returns how long that takes.
    async fn refused(self) -> Duration {
        let since = Instant::now();
        let refused = timeout(SOON, self.clients.join_all()).await;
        let last = refused.unwrap().into_iter().max().unwrap();
        last.saturating_duration_since(since)
    }
}

/// Asks until the answer is that nobody is signed in, and returns when that was.
async fn until_refused(http: Http, is_over: Arc<AtomicBool>) -> Instant {
    loop {
        let was_over = is_over.load(Ordering::SeqCst);
        let answer = http.get("/auth/session").await;
        match answer.status.as_u16() {
            401 => return Instant::now(),
            200 => assert!(!was_over, "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_from_the_answer_on() {
    let herald = server().await;
    let alice = herald.http("alice").await;
    let (id, token) = alice.token_with_id(&["api"]).await;
    let load = Load::of(&Http::bearer(&herald, &token)).await;
    alice.delete(&format!("/tokens/{id}")).await.expect(204);
    load.ended().await;
}

#[tokio::test]
async fn a_session_that_was_ended_opens_nothing_from_the_answer_on() {
    let herald = server().await;
    let alice = herald.http("alice").await;
    let load = Load::of(&alice).await;
    alice.post("/auth/logout", &json!({})).await.expect(204);
    load.ended().await;

    let other = Http::sign_in(&herald, "alice", &password("alice")).await;
    let alice = Http::sign_in(&herald, "alice", &password("alice")).await;
    let load = Load::of(&other).await;
    let (current, new) = (password("alice"), "another horse battery");
    let change = json!({"current": current, "new": new});
    alice.put("/auth/password", &change).await.expect(204);
    load.ended().await;
    alice.get("/auth/session").await.expect(200);
}

#[tokio::test]
async fn a_disabled_user_opens_nothing_from_the_answer_on() {
    let herald = server().await;
    let alice = herald.http("alice").await;
    let token = Http::bearer(&herald, &alice.token(&["api"]).await);
    let loads = [Load::of(&alice).await, Load::of(&token).await];
    let admin = herald.http("admin").await;
    let disable = json!({"disabled": true});
    admin
        .patch("/admin/users/alice", &disable)
        .await
        .expect(200);
    for load in loads {
        load.ended().await;
    }
}

#[tokio::test]
async fn what_another_process_revokes_opens_nothing_soon() {
    let herald = server().await;
    let alice = herald.http("alice").await;
    let (id, token) = alice.token_with_id(&["api"]).await;
    let load = Load::of(&Http::bearer(&herald, &token)).await;
    herald.cli(&["token", "revoke", &id]).succeed().await;
    println!("refused {:?} after the command's end", load.refused().await);

    let load = Load::of(&alice).await;
    let reset = herald.cli(&["admin", "reset-password", "alice"]);
    reset.input("another horse battery\n").succeed().await;
    println!("refused {:?} after the command's end", load.refused().await);
}
