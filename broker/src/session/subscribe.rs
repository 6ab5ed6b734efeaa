//! SUBSCRIBE and UNSUBSCRIBE.

use herald_acl::{Action, TopicFilter};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{End, Granted, Replay, Session, deliver::is_for, rights::may_subscribe};
use crate::{
    bus::Message,
    limits::FILTER_BYTES,
    mailbox::Delivery,
    topics,
    wire::{Qos, Reason, RetainHandling, SubackCode, Subscribe, Subscription, UnsubackCode},
};

/// What a client is told whose `after` is of another epoch.
const STARTS_OVER: &str = "after is of another epoch: the inbox starts over";

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), End> {
        // It says where the inbox starts, and to other subscriptions nothing.
        let inbox = topics::inbox(&self.client.identity.username);
        let asks = |s: &Subscription| {
            TopicFilter::parse(&s.filter).is_ok_and(|filter| is_for(&filter, &inbox))
        };
        let bound = self.ctx.limits.filters_per_subscribe();
        let after = subscribe
            .after
            .filter(|_| subscribe.subscriptions.iter().take(bound).any(asks));
        let Ok(after) = after.transpose() else {
            return Err(End::Server(Reason::ProtocolError));
        };
        let epoch = after.map(|_| self.ctx.host.inbox.epoch());
        // What the client knows may be of a database that was there before this one.
        let its_epoch = subscribe.epoch.as_deref();
        let is_other = epoch
            .as_deref()
            .zip(its_epoch)
            .is_some_and(|(ours, its)| ours != its);
        let (after, why) = match is_other {
            true => (Some(0), STARTS_OVER),
            false => (after, ""),
        };
        let mut to_inbox = false;
        let mut codes = Vec::with_capacity(subscribe.subscriptions.len());
        for subscription in &subscribe.subscriptions {
            if codes.len() >= bound {
                // Each filter has an answer (MQTT 5 section 3.9.3), and this one costs nothing.
                codes.push(SubackCode::QuotaExceeded);
                continue;
            }
            self.slice.give_way().await;
            let code = match self.grant(subscription)? {
                Ok((filter, new)) => {
                    self.queue_retained(&filter, subscription.retain_handling, new);
                    let qos = granted_qos(&filter, subscription.qos);
                    let granted = Granted {
                        filter,
                        qos,
                        no_local: subscription.no_local,
                        retain_as_published: subscription.retain_as_published,
                        identifier: subscribe.identifier,
                        since: Message::next_id(),
                    };
                    to_inbox |= granted.is_for(&inbox);
                    self.kept.grant(granted);
                    match qos {
                        Qos::AtMostOnce => SubackCode::Granted0,
                        Qos::AtLeastOnce => SubackCode::Granted1,
                        Qos::ExactlyOnce => SubackCode::Granted2,
                    }
                }
                Err(code) => code,
            };
            codes.push(code);
        }
        // First: a client that was told that it is subscribed has a place from which it gets everything.
        self.start_inbox(after.filter(|_| to_inbox)).await?;
        let epoch = epoch.as_deref().map(|epoch| (epoch, why));
        self.io.wire.suback(subscribe.packet_id, &codes, epoch)?;
        Ok(())
    }

    /// Asks the ACL, and sets up what the filter touches. Answers whether the filter is new to the session.
    fn grant(
        &mut self,
        subscription: &Subscription,
    ) -> Result<Result<(TopicFilter, bool), SubackCode>, End> {
        let Ok(filter) = TopicFilter::parse(&subscription.filter) else {
            return Ok(Err(SubackCode::TopicFilterInvalid));
        };
        if subscription.filter.len() > FILTER_BYTES {
            return Ok(Err(SubackCode::QuotaExceeded));
        }
        if filter.is_shared() && subscription.no_local {
            // MQTT 5 section 3.8.3.1-4.
            return Err(End::Server(Reason::ProtocolError));
        }
        let Some(permit) = may_subscribe(&self.ctx, &self.client, &filter) else {
            self.ctx.metrics.subscribes_denied.add(1);
            self.client
                .denied(&self.ctx, Action::Subscribe, filter.as_str());
            tracing::info!(user = %self.client.identity.username, client_id = ?self.client.id, "subscribe refused");
            return Ok(Err(SubackCode::NotAuthorized));
        };
        if filter.is_shared() && (topics::is_durable(&filter) || topics::touches_sys(&filter)) {
            // Each session of a user gets every notification: there is nothing to share.
            return Ok(Err(SubackCode::SharedSubscriptionsNotSupported));
        }
        let new = !self.kept.granted.iter().any(|g| g.filter == filter);
        if new && self.kept.granted.len() >= self.ctx.limits.subscriptions_per_session {
            return Ok(Err(SubackCode::QuotaExceeded));
        }
        if topics::touches_shared(&filter) && permit.enter(&self.ctx, &filter, &self.kept).is_err()
        {
            return Ok(Err(SubackCode::Unspecified));
        }
        self.watch(&filter);
        Ok(Ok((filter, new)))
    }

    /// MQTT 5 section 3.3.1.3: what is retained goes to a new subscription, and as the client asked to a repeated one; to one
    /// that is shared, never (section 4.8.2).
    fn queue_retained(&mut self, filter: &TopicFilter, handling: RetainHandling, new: bool) {
        let wanted = match handling {
            RetainHandling::SendRetained => true,
            RetainHandling::SendRetainedIfNotExists => new,
            RetainHandling::DoNotSendRetained => false,
        };
        // One replay a subscription, so they are bounded like these.
        self.kept.replays.retain(|r| &r.filter != filter);
        if !wanted || filter.is_shared() {
            return;
        }
        if topics::touches_shared(filter) {
            self.kept.replays.push_back(Replay {
                filter: filter.clone(),
                after: None,
            });
        }
        if topics::touches_sys(filter) {
            // Those of a repeated subscription replace the earlier ones, so they are bounded like subscriptions.
            let of_this = |d: &Delivery| d.retained && *d.filter == *filter.as_str();
            self.kept.shared.retain(|d| !of_this(d));
            let latest = self.ctx.sys.latest(filter).into_iter();
            self.kept.shared.extend(latest.map(|message| Delivery {
                filter: filter.as_str().into(),
                message,
                retained: true,
                group: None,
            }));
        }
    }

    /// However many filters there are: UNSUBACK of 3.1.1 cannot refuse one.
    pub(super) async fn unsubscribe(
        &mut self,
        packet_id: u16,
        filters: Vec<String>,
    ) -> Result<(), End> {
        let mut codes = Vec::with_capacity(filters.len());
        for text in &filters {
            self.slice.give_way().await;
            codes.push(match TopicFilter::parse(text) {
                Err(_) => UnsubackCode::TopicFilterInvalid,
                Ok(filter) if self.drop_subscription(&filter) => UnsubackCode::Success,
                Ok(_) => UnsubackCode::NoSubscriptionExisted,
            });
        }
        self.io.wire.unsuback(packet_id, &codes)?;
        Ok(())
    }

    /// Ends a subscription. `false` if there is none to this filter.
    fn drop_subscription(&mut self, filter: &TopicFilter) -> bool {
        let dropped = self.kept.drop_subscription(filter);
        if self.kept.inbox.is_none() {
            self.reading = None;
        }
        dropped
    }
}

/// The inbox comes at QoS 1 at most, progress at 0.
fn granted_qos(filter: &TopicFilter, asked: Qos) -> Qos {
    if topics::followed(filter).is_some() {
        Qos::AtMostOnce
    } else if topics::is_durable(filter) {
        asked.min(Qos::AtLeastOnce)
    } else {
        asked
    }
}
