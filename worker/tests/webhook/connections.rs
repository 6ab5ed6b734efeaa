//! Connections are kept, and HTTP/2 is spoken where it is offered.

use futures_util::future::join_all;
use herald_worker::{Authorities, Webhook, WebhookOptions};

use crate::{
    h2_server::H2Server,
    jobs::{ask, fatal, options, outage, retry, webhook},
    server::{Reply, Server, answer, ok},
    tls::Authority,
};

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start(|_| ok("done")).await;
    let webhook = webhook(&server.url());
    for _ in 0..5 {
        ask(&webhook).await.unwrap();
    }
    assert_eq!(server.asked(), 5);
    // One may be made while the one before is on its way back to the pool.
    assert!(server.connections() < 5, "{}", server.connections());
}

#[tokio::test]
async fn a_kept_connection_that_the_service_closed_meanwhile_is_replaced() {
    let close = |body: &str| {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\n";
        Reply::Close(format!("{head}{body}").into_bytes())
    };
    let server = Server::start(move |_| close("done")).await;
    let webhook = webhook(&server.url());
    for _ in 0..3 {
        assert_eq!(ask(&webhook).await.unwrap(), "done");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn over_http_2_exchanges_share_a_connection() {
    let authority = Authority::new();
    let server = H2Server::start(authority.acceptor("localhost", &["h2"]), |_| {
        (200, vec![b'x'; 64 * 1024])
    })
    .await;
    let webhook = trusting(&server.url(), &authority);
    ask(&webhook).await.unwrap();
    for result in join_all((0..10).map(|_| ask(&webhook))).await {
        assert_eq!(result.unwrap().len(), 64 * 1024);
    }
    assert_eq!((server.asked(), server.connections()), (11, 1));
}

#[tokio::test]
async fn over_http_2_answers_mean_the_same() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", &["h2", "http/1.1"]);
    let server = H2Server::start(acceptor, |number| match number {
        0 => (400, vec![]),
        1 => (503, vec![]),
        _ => (200, vec![b'x'; 64 * 1024 + 1]),
    })
    .await;
    let webhook = trusting(&server.url(), &authority);
    assert_eq!(ask(&webhook).await, fatal("the service answered 400"));
    assert_eq!(ask(&webhook).await, retry("the service answered 503"));
    let long = retry("the service's answer is longer than 64 KiB");
    assert_eq!(ask(&webhook).await, long);
}

#[tokio::test]
async fn over_tls_http_1_is_spoken_where_http_2_is_not_offered() {
    let authority = Authority::new();
    for protocols in [&[][..], &["http/1.1"]] {
        let acceptor = authority.acceptor("localhost", protocols);
        let server = Server::start_with(Some(acceptor), |_| ok("done")).await;
        let webhook = trusting(&server.url(), &authority);
        for _ in 0..3 {
            assert_eq!(ask(&webhook).await.unwrap(), "done");
        }
        assert!(server.connections() < 3, "{}", server.connections());
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_for_another_name_is_not_trusted() {
    let (ours, other) = (Authority::new(), Authority::new());
    for (authority, name) in [(&other, "localhost"), (&ours, "service.example")] {
        let acceptor = authority.acceptor(name, &[]);
        let server = Server::start_with(Some(acceptor), |_| answer(200, "", "")).await;
        let failure = ask(&trusting(&server.url(), &ours)).await;
        assert_eq!(failure, outage("the service cannot be reached"));
        assert_eq!(server.asked(), 0);
    }
    // Nor is any that the system does not know.
    let acceptor = ours.acceptor("localhost", &[]);
    let server = Server::start_with(Some(acceptor), |_| answer(200, "", "")).await;
    let failure = ask(&webhook(&server.url())).await;
    assert_eq!(failure, outage("the service cannot be reached"));
}

fn trusting(url: &str, authority: &Authority) -> Webhook {
    Webhook::new(WebhookOptions {
        authorities: Authorities::from_pem(authority.pem().as_bytes()).unwrap(),
        ..options(url)
    })
    .unwrap()
}
