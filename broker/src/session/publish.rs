//! PUBLISH from the client.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use herald_acl::{Destination, TopicName};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::{
    client::Client,
    connected::Session,
    context::Context,
    end::End,
    responses::{Handled, Refused, Response},
    rights::may_publish,
    task::Task,
};
use crate::{
    bus::BusError,
    host::{SendRefusal, SendRequest},
    limits::{UNRELEASED, USER_PROPERTIES},
    message::Message,
    wire::{Publish, PublishCode, Qos, Reason},
};

/// How long a PUBLISH waits until it is known whether its client may still publish. A server that is cut off ends the session
/// earlier.
const UNTIL_CURRENT: Duration = Duration::from_secs(10);

/// The payload of a PUBLISH to `users/{me}/messages`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendPayload {
    body: String,
    idempotency_key: Option<String>,
}

/// The same as [`accept`] once the rights of the client are current.
async fn accept_when_current(
    ctx: &Arc<Context>,
    client: &Client,
    publish: Publish,
    patient: bool,
) -> Handled {
    let standing = &ctx.standing;
    if !standing.is_current() {
        let since = Instant::now();
        let waited = timeout(UNTIL_CURRENT, standing.current()).await;
        // The session ends because of that, but need not have yet.
        if waited.is_err() || ctx.registry.is_revoked(&client.identity, since) {
            return Handled::Done(Response {
                packet_id: publish.packet_id,
                qos: publish.qos,
                result: Err(Refused::Unavailable),
            });
        }
    }
    accept(ctx, client, publish, patient).await
}

/// Passes `publish` on to where it belongs, if the ACL lets it. Shared messages are handed on before this resolves, so that
/// those of one client keep their order; the response may take longer. A `patient` client waits where another is refused.
pub(super) async fn accept(
    ctx: &Arc<Context>,
    client: &Client,
    publish: Publish,
    patient: bool,
) -> Handled {
    let (packet_id, qos) = (publish.packet_id, publish.qos);
    let response = move |result| Response {
        packet_id,
        qos,
        result,
    };
    let done = |result| Handled::Done(response(result));
    let topic = match TopicName::parse(&publish.topic) {
        Ok(topic) => topic,
        Err(e) => return done(Err(refuse(PublishCode::TopicNameInvalid, e.to_string()))),
    };
    if publish.properties.user.len() > USER_PROPERTIES {
        let text = format!("a message has at most {USER_PROPERTIES} user properties");
        return done(Err(refuse(PublishCode::QuotaExceeded, text)));
    }
    let Some(destination) = may_publish(ctx, client, &topic) else {
        let text = "you may not publish to this topic".to_owned();
        return done(Err(refuse(PublishCode::NotAuthorized, text)));
    };
    if destination == Destination::BridgeState {
        return done(Ok(()));
    }
    if destination == Destination::Send {
        return match send(ctx, client, &publish, patient) {
            Ok(sending) => Handled::Pending(sending.map(response).boxed()),
            Err(refused) => done(Err(refused)),
        };
    }
    let message = Message {
        seq: 0,
        topic,
        expires: Message::expiry(publish.properties.message_expiry),
        payload: publish.payload,
        qos,
        retain: publish.retain,
        properties: publish.properties,
        origin: client.session,
    };
    match ctx.bus.publish(message).await {
        Ok(handed) if handed.is_done() => done(Ok(())),
        // Acknowledged once no crash can lose it to others.
        Ok(handed) => {
            let handed = async move { handed.done().await.map_err(Refused::from) };
            Handled::Pending(handed.map(response).boxed())
        }
        Err(e) => done(Err(e.into())),
    }
}

/// Takes a message that the client sends to be processed.
fn send(
    ctx: &Context,
    client: &Client,
    publish: &Publish,
    patient: bool,
) -> Result<impl Future<Output = Result<(), Refused>> + use<>, Refused> {
    let payload = serde_json::from_slice::<SendPayload>(&publish.payload).map_err(|e| {
        // Where it is wrong, and not the parser's message: that quotes what was sent.
        let text = format!(
            r#"the payload must be {{"body": "...", "idempotency_key"?: "..."}}: line {}, column {}"#,
            e.line(),
            e.column()
        );
        refuse(PublishCode::PayloadFormatInvalid, text)
    })?;
    let request = SendRequest {
        body: payload.body,
        idempotency_key: payload.idempotency_key,
        patient,
    };
    let sending = ctx.host.intake.send(&client.identity, request);
    Ok(sending.map(|sent| sent.map_err(Refused::from)))
}

impl From<SendRefusal> for Refused {
    fn from(refusal: SendRefusal) -> Self {
        match refusal {
            SendRefusal::Invalid(text) => refuse(PublishCode::PayloadFormatInvalid, text),
            SendRefusal::Quota(text) => refuse(PublishCode::QuotaExceeded, text),
            SendRefusal::Busy => Self::Busy,
            SendRefusal::Unavailable => Self::Unavailable,
        }
    }
}

impl From<BusError> for Refused {
    fn from(e: BusError) -> Self {
        match e {
            BusError::RetainedFull => refuse(PublishCode::QuotaExceeded, e.to_string()),
            BusError::Unavailable => Self::Unavailable,
        }
    }
}

fn refuse(code: PublishCode, text: String) -> Refused {
    Refused::With(code, text)
}

impl Session {
    /// Takes a PUBLISH; the response follows when it is known, in the order of the PUBLISHes.
    pub(super) fn publish(&mut self, publish: Publish) -> Result<(), End> {
        self.ctx.metrics.publishes_received.add(1);
        if publish.qos == Qos::ExactlyOnce && self.state.received.len() >= UNRELEASED {
            return Err(End::Server(Reason::ReceiveMaximumExceeded));
        }
        let patient = !self.wire.is_v5();
        let bytes = publish.payload.len();
        let (ctx, client) = (self.ctx.clone(), self.client.clone());
        let mut handling =
            Box::pin(async move { accept_when_current(&ctx, &client, publish, patient).await });
        // Mostly there is nothing to wait for.
        match (&mut handling).now_or_never() {
            Some(handled) => self.published(handled, bytes),
            None => {
                self.task = Some(Task::Publish(handling, bytes));
                Ok(())
            }
        }
    }

    /// A PUBLISH was handled, whose payload takes so many `bytes`.
    pub(super) fn published(&mut self, handled: Handled, bytes: usize) -> Result<(), End> {
        let user = self.guard.mailbox.user_bytes();
        match self.responses.push(handled, bytes, user) {
            Some(response) => self.respond(response),
            None => Ok(()),
        }
    }

    /// Sends PUBACK or PUBREC, if the PUBLISH asks for one.
    pub(super) fn respond(&mut self, response: Response) -> Result<(), End> {
        let (code, text) = match response.result {
            Ok(()) => (PublishCode::Success, String::new()),
            Err(Refused::With(code, text)) => {
                self.ctx.metrics.publishes_denied.add(1);
                // Also where PUBLISHes have no rate.
                self.rate_limit.count_control(1, Instant::now());
                tracing::info!(user = %self.client.identity.username, client_id = ?self.client.id, ?code, text, "publish refused");
                (code, text)
            }
            // 3.1.1 has no refusal but to end the connection: an acknowledgement would mean that it is stored.
            Err(_) if !self.wire.is_v5() => return Err(End::Server(Reason::Unavailable)),
            Err(Refused::Busy) => (
                PublishCode::QuotaExceeded,
                "the server is busy; try again".into(),
            ),
            Err(Refused::Unavailable) => (
                PublishCode::Unspecified,
                "the message could not be taken; try again".into(),
            ),
        };
        let Some(packet_id) = response.packet_id else {
            return Ok(());
        };
        // 3.1.1 cannot refuse: the PUBLISH is acknowledged to the end.
        let taken = code == PublishCode::Success || !self.wire.is_v5();
        if response.qos == Qos::ExactlyOnce && taken {
            self.state.received.insert(packet_id);
        }
        self.wire
            .acknowledge(response.qos, packet_id, code, &text)?;
        Ok(())
    }

    /// PUBREL: the client will not repeat a QoS 2 PUBLISH.
    pub(super) fn pubrel(&mut self, packet_id: u16) -> Result<(), End> {
        let known = self.state.received.remove(&packet_id);
        if self.state.received.is_empty() {
            // An idle session holds no buffer.
            self.state.received = HashSet::new();
        }
        self.wire.pubcomp(packet_id, known)?;
        Ok(())
    }
}
