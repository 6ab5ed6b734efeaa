//! How often an address and a user may ask.

use std::net::SocketAddr;

use herald_tests::Herald;
use tokio::net::TcpSocket;

use crate::wire::{Answer, Wire, expect_unharmed, token};

async fn ask(herald: &Herald, from: &str, headers: &str) -> Answer {
    let socket = TcpSocket::new_v4().unwrap();
    let from: SocketAddr = format!("{from}:0").parse().unwrap();
    socket.bind(from).unwrap();
    let server = herald.http_address().parse().unwrap();
    let mut wire = Wire::new(socket.connect(server).await.unwrap());
    let request = format!("GET /api/v1/messages HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    wire.send(request.as_bytes()).await;
    wire.answer().await.unwrap()
}

async fn start(key: &str) -> Herald {
    Herald::start_with(&[("HERALD_TLS__MODE", "off"), (key, "5")]).await
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let herald = start("HERALD_LIMITS__REQUESTS_PER_MINUTE_PER_ADDRESS").await;
    for _ in 0..5 {
        assert_eq!(ask(&herald, "127.0.0.1", "").await.status, 401);
    }
    let refused = ask(&herald, "127.0.0.1", "").await;
    refused.expect_problem("the sixth");
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(ask(&herald, "127.0.0.2", "").await.status, 401);
    expect_unharmed(&herald).await;
}

#[tokio::test]
async fn a_user_who_asks_too_often_is_told_to_wait_wherever_they_are() {
    let herald = start("HERALD_LIMITS__REQUESTS_PER_MINUTE").await;
    let bearer = format!("Authorization: Bearer {}\r\n", token(&herald).await);
    for _ in 0..5 {
        assert_eq!(ask(&herald, "127.0.0.1", &bearer).await.status, 200);
    }
    for from in ["127.0.0.1", "127.0.0.2"] {
        let refused = ask(&herald, from, &bearer).await;
        refused.expect_problem("the sixth");
        assert_eq!(refused.status, 429);
        assert_eq!(ask(&herald, from, "").await.status, 401);
    }
    expect_unharmed(&herald).await;
}
