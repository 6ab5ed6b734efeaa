//! PUBLISH from the client.

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::TopicName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Answer, End, Refused, Session};
use crate::{
    bus::{BusError, Message},
    host::{Send as SendRequest, SendRefusal},
    topics::{Destination, destination},
    wire::{PubackCode, Publish, Qos, Reason},
};

/// The payload of a PUBLISH to `users/{me}/messages`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendPayload {
    body: String,
    idempotency_key: Option<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Takes a PUBLISH; its answer follows when it is known, in the order of the PUBLISHes.
    pub(super) async fn publish(&mut self, publish: Publish) -> Result<(), End> {
        if publish.qos == Qos::ExactlyOnce {
            // CONNACK said so (MQTT 5 section 3.2.2.3.4).
            return Err(End::Server(Reason::QosNotSupported));
        }
        let answer = self.accept(publish).await;
        self.answers.push_back(answer);
        Ok(())
    }

    /// Passes `publish` on to where it belongs, if the ACL lets it.
    pub(super) async fn accept(&mut self, publish: Publish) -> BoxFuture<'static, Answer> {
        let packet_id = publish.packet_id;
        let done = |result| async move { Answer { packet_id, result } }.boxed();
        let topic = match TopicName::parse(&publish.topic) {
            Ok(topic) => topic,
            Err(e) => return done(Err(refuse(PubackCode::TopicNameInvalid, e.to_string()))),
        };
        let place = destination(&topic, &self.identity.username);
        if place == Destination::Reserved || !self.ctx.policy().publish(&self.who(), &topic).allowed
        {
            let text = "you may not publish to this topic".to_owned();
            return done(Err(refuse(PubackCode::NotAuthorized, text)));
        }
        if place == Destination::Send {
            return self.send(packet_id, &publish);
        }
        let message = Message {
            topic,
            expires: Message::expiry(publish.properties.message_expiry),
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            properties: publish.properties,
            origin: self.id,
        };
        // Awaited here, so that one client's messages keep their order.
        match self.ctx.bus.publish(message).await {
            Ok(None) => done(Ok(())),
            // The answer waits until what is retained is durable; the session does not.
            Ok(Some(saving)) => async move {
                let result = saving.done().await.map_err(not_taken);
                Answer { packet_id, result }
            }
            .boxed(),
            Err(e) => done(Err(not_taken(e))),
        }
    }

    fn send(&self, packet_id: Option<u16>, publish: &Publish) -> BoxFuture<'static, Answer> {
        let payload = match serde_json::from_slice::<SendPayload>(&publish.payload) {
            Ok(payload) => payload,
            Err(e) => {
                let text = format!(r#"the payload must be {{"body": "..."}}: {e}"#);
                let result = Err(refuse(PubackCode::PayloadFormatInvalid, text));
                return async move { Answer { packet_id, result } }.boxed();
            }
        };
        let request = SendRequest {
            body: payload.body,
            idempotency_key: payload.idempotency_key,
        };
        let sending = self.ctx.intake.send(&self.identity, request);
        async move {
            let result = sending.await.map_err(|e| match e {
                SendRefusal::Invalid(text) => refuse(PubackCode::PayloadFormatInvalid, text),
                SendRefusal::Quota(text) => refuse(PubackCode::QuotaExceeded, text),
                SendRefusal::Busy => Refused::Busy,
                SendRefusal::Unavailable => Refused::Unavailable,
            });
            Answer { packet_id, result }
        }
        .boxed()
    }

    /// Sends the PUBACK that `answer` calls for.
    pub(super) fn answer(&mut self, answer: Answer) -> Result<(), End> {
        let (code, text) = match answer.result {
            Ok(()) => (PubackCode::Success, String::new()),
            Err(Refused::With(code, text)) => {
                self.ctx.metrics.publishes_denied.add(1);
                tracing::info!(user = %self.identity.username, client_id = ?self.client_id, ?code, text, "publish refused");
                (code, text)
            }
            // 3.1.1 has no way to say so but to end: an acknowledgement would mean that it is stored.
            Err(_) if !self.io.wire.is_v5() => return Err(End::Server(Reason::Unavailable)),
            Err(Refused::Busy) => (
                PubackCode::QuotaExceeded,
                "the server is busy; try again".into(),
            ),
            Err(Refused::Unavailable) => (
                PubackCode::Unspecified,
                "the message could not be taken; try again".into(),
            ),
        };
        if let Some(packet_id) = answer.packet_id {
            self.io.wire.puback(packet_id, code, &text)?;
        }
        Ok(())
    }
}

fn refuse(code: PubackCode, text: String) -> Refused {
    Refused::With(code, text)
}

fn not_taken(e: BusError) -> Refused {
    match e {
        BusError::RetainedFull => refuse(PubackCode::QuotaExceeded, e.to_string()),
        BusError::Unavailable => Refused::Unavailable,
    }
}
