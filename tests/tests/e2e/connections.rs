//! How many connections there may be, over all listeners together.

use herald_tests::{Herald, Http, Version, raw::Raw, until, within};
use reqwest::Method;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

const IN_ALL: &str = "HERALD_LIMITS__CONNECTIONS";
const PER_ADDRESS: &str = "HERALD_LIMITS__CONNECTIONS_PER_ADDRESS";

/// A request that answers, on a connection that stays open.
async fn is_served(web: &Http) -> bool {
    let request = web.request(Method::GET, "/healthz");
    let answer = within("an answer, or none", request.send()).await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn what_comes_on_top_of_the_limit_is_closed_on_every_listener_and_counted() {
    for (setting, key) in [
        (IN_ALL, "limits.connections"),
        (PER_ADDRESS, "limits.connections_per_address"),
    ] {
        let mut herald = Herald::start_with(&[(setting, "2")]).await;
        let web = Http::anonymous(&herald);
        assert!(is_served(&web).await);
        let mut mqtt = Raw::connect(&herald, Version::V5, "admin").await;
        for address in [
            herald.http_address(),
            herald.tls_address(),
            herald.tcp_address(),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let read = within("the end of a connection", stream.read(&mut [0])).await;
            assert!(!matches!(read, Ok(1..)), "{key}: {address}");
        }
        mqtt.ping().await;
        assert!(is_served(&web).await);

        herald.stop().await;
        // Not one of them was closed for another reason, such as its silence.
        let log = herald.stderr();
        assert!(log.contains(r#""connections_refused":3"#), "{key}: {log}");
        assert!(log.contains(&format!("{key}\"")), "{key}: {log}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_makes_room_for_another() {
    let herald = Herald::start_with(&[(IN_ALL, "2")]).await;
    let web = Http::anonymous(&herald);
    assert!(is_served(&web).await);
    let mqtt = Raw::connect(&herald, Version::V5, "admin").await;
    assert!(!is_served(&Http::anonymous(&herald)).await);
    mqtt.disconnect().await;
    until("room for another connection", async || {
        is_served(&Http::anonymous(&herald)).await.then_some(())
    })
    .await;
}
