//! Endpoints that give no answer, or half of one.

use crate::{
    jobs::{ask, hasty, outage, retry, webhook},
    server::{Reply, Server},
};

const IN_TIME: &str = "the service did not answer in time";
const NO_ANSWER: &str = "the service gave no answer";
const BROKE_OFF: &str = "the service's answer broke off";

#[tokio::test]
async fn headers_that_drip_are_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nx-slow: ";
    let server = Server::start(|_| Reply::Drip(head.to_vec())).await;
    assert_eq!(ask(&hasty(&server.url())).await, retry(IN_TIME));
}

/// The limit is for the whole exchange: that there is always a next byte does not help.
#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n";
    let server = Server::start(|_| Reply::Drip(head.to_vec())).await;
    assert_eq!(ask(&hasty(&server.url())).await, retry(IN_TIME));
}

#[tokio::test]
async fn silence_is_given_up() {
    let server = Server::start(|_| Reply::Bytes(vec![])).await;
    assert_eq!(ask(&hasty(&server.url())).await, retry(IN_TIME));
}

#[tokio::test]
async fn a_connection_that_closes_at_once_is_no_answer() {
    let server = Server::start(|_| Reply::Close(vec![])).await;
    assert_eq!(ask(&webhook(&server.url())).await, retry(NO_ANSWER));
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let server = Server::start(|_| Reply::Close(b"\x00\xff\x17garbage\r\n\r\n".to_vec())).await;
    assert_eq!(ask(&webhook(&server.url())).await, retry(NO_ANSWER));
}

#[tokio::test]
async fn a_connection_that_closes_within_the_body_is_half_an_answer() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno number\r\nhalf",
    ] {
        let server = Server::start(|_| Reply::Close(head.as_bytes().to_vec())).await;
        assert_eq!(ask(&webhook(&server.url())).await, retry(BROKE_OFF));
    }
}

#[tokio::test]
async fn headers_without_end_are_not_read_on() {
    let head = b"HTTP/1.1 200 OK\r\nx-endless: ";
    let server = Server::start(|_| Reply::Endless(head.to_vec())).await;
    assert_eq!(ask(&webhook(&server.url())).await, retry(NO_ANSWER));
    let taken = server.endless();
    assert!(taken < 16 * 1024 * 1024, "{taken}");
}

#[tokio::test]
async fn too_many_headers_are_no_answer() {
    let many = || format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-many: y\r\n".repeat(1000));
    let server = Server::start(move |_| Reply::Bytes(many().into_bytes())).await;
    assert_eq!(ask(&webhook(&server.url())).await, retry(NO_ANSWER));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_not_reached() {
    let server = Server::start(|_| Reply::Bytes(vec![])).await;
    let webhook = webhook(&server.url());
    drop(server);
    let failure = ask(&webhook).await;
    assert_eq!(failure, outage("the service cannot be reached"));
}

#[tokio::test]
async fn a_host_that_no_name_server_knows_is_not_reached() {
    let failure = ask(&webhook("http://service.invalid/")).await;
    assert_eq!(failure, outage("the service cannot be reached"));
}
