//! What the endpoint is asked.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use herald_worker::{Processor as _, SigningKey, Webhook, WebhookOptions};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    jobs::{SECRET, ask, job, options, webhook},
    server::{Server, ok},
};

#[tokio::test]
async fn a_message_is_posted_and_the_answer_is_its_result() {
    let mut server = Server::start(|_| ok("höllo")).await;
    let job = job("grüße").await;
    let result = webhook(&server.url()).process(&job).await;
    assert_eq!(result.unwrap(), "höllo");

    let request = server.request().await;
    assert!(request.head.starts_with("POST /hook HTTP/1.1\r\n"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("accept-encoding"), None);
    let posted: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({
        "id": job.id.as_str(), "username": "alice", "body": "grüße", "attempt": 1,
        "created_at": job.created_at.to_string(),
    });
    assert_eq!(posted, expected);
}

/// As a receiver does it, from the specification alone.
#[tokio::test]
async fn it_is_signed_as_standard_webhooks_has_it() {
    let mut server = Server::start(|_| ok("")).await;
    let job = job("hello").await;
    webhook(&server.url()).process(&job).await.unwrap();

    let request = server.request().await;
    let id = request.header("webhook-id").unwrap();
    assert_eq!(id, job.id.as_str());
    let timestamp = request.header("webhook-timestamp").unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let age = now.as_secs() - timestamp.parse::<u64>().unwrap();
    assert!(age < 60, "{age}");
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &request.body].concat();
    let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.unwrap()).unwrap();
    mac.update(&signed);
    let signature = request.header("webhook-signature").unwrap();
    let signature = BASE64_STANDARD.decode(signature.strip_prefix("v1,").unwrap());
    mac.verify_slice(&signature.unwrap()).unwrap();
}

/// While a secret is replaced, a receiver that knows either one of them finds its signature.
#[tokio::test]
async fn two_secrets_sign_during_a_rotation() {
    let mut server = Server::start(|_| ok("")).await;
    let other = "whsec_b3RoZXIgc2VjcmV0IG9mIDI0IGJ5dGVz";
    let job = job("hello").await;
    for (key, previous_key) in [(SECRET, None), (other, None), (other, Some(SECRET))] {
        let parse = |secret| SigningKey::parse(secret).unwrap();
        let webhook = Webhook::new(WebhookOptions {
            key: parse(key),
            previous_key: previous_key.map(parse),
            ..options(&server.url())
        });
        webhook.unwrap().process(&job).await.unwrap();
        let request = server.request().await;
        let [id, timestamp, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"]
            .map(|name| request.header(name).unwrap());
        let keys = [Some(key), previous_key];
        let expected: Vec<_> = keys.into_iter().flatten().collect();
        let signatures: Vec<_> = signatures.split(' ').collect();
        assert_eq!(signatures.len(), expected.len());
        for (signature, secret) in signatures.iter().zip(expected) {
            let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap());
            let mut mac = Hmac::<Sha256>::new_from_slice(&key.unwrap()).unwrap();
            mac.update(&[format!("{id}.{timestamp}.").as_bytes(), &request.body].concat());
            let signature = BASE64_STANDARD.decode(signature.strip_prefix("v1,").unwrap());
            mac.verify_slice(&signature.unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn credentials_in_the_url_are_sent_and_not_told() {
    let mut server = Server::start(|_| crate::server::answer(500, "", "")).await;
    let url = format!("http://me:hidden@127.0.0.1:{}/?key=hidden", server.port());
    let webhook = webhook(&url);
    let failure = format!("{:?} {webhook:?}", ask(&webhook).await.unwrap_err());
    assert!(!failure.contains("hidden"), "{failure}");
    let request = server.request().await;
    assert!(request.head.starts_with("POST /?key=hidden "));
    let basic = format!("Basic {}", BASE64_STANDARD.encode("me:hidden"));
    assert_eq!(request.header("authorization"), Some(basic.as_str()));
}
