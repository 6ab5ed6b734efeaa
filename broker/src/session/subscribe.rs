//! SUBSCRIBE and UNSUBSCRIBE.

use std::sync::Arc;

use herald_acl::{Role, TopicFilter};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{End, Granted, InboxState, Session};
use crate::{
    feed::Feed,
    limits::RECEIVE_MAXIMUM,
    mailbox::Delivery,
    topics,
    wire::{Qos, Reason, RetainHandling, SubackCode, Subscribe, Subscription, UnsubackCode},
};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), End> {
        let mut codes = Vec::with_capacity(subscribe.subscriptions.len());
        for subscription in &subscribe.subscriptions {
            let code = match self.grant(subscription).await {
                Ok((filter, new)) => {
                    self.queue_retained(&filter, subscription.retain_handling, new);
                    let qos = subscription.qos.min(Qos::AtLeastOnce);
                    self.granted.retain(|g| g.filter != filter);
                    self.granted.push(Granted {
                        filter,
                        qos,
                        no_local: subscription.no_local,
                        retain_as_published: subscription.retain_as_published,
                        identifier: subscribe.identifier,
                    });
                    match qos {
                        Qos::AtMostOnce => SubackCode::Granted0,
                        _ => SubackCode::Granted1,
                    }
                }
                Err(code) => code,
            };
            codes.push(code);
        }
        self.io.wire.suback(subscribe.packet_id, &codes)?;
        self.start_inbox(subscribe.after).await
    }

    /// Asks the ACL, and sets up what the filter touches. Answers whether the filter is new to the session.
    async fn grant(
        &mut self,
        subscription: &Subscription,
    ) -> Result<(TopicFilter, bool), SubackCode> {
        let filter =
            TopicFilter::parse(&subscription.filter).map_err(|_| SubackCode::TopicFilterInvalid)?;
        if filter.is_shared() {
            return Err(SubackCode::SharedSubscriptionsNotSupported);
        }
        let policy = &self.ctx.policy;
        let decision = policy.subscribe(&self.who(), &filter);
        let scope = decision.rule.as_deref().and_then(|rule| policy.scope(rule));
        // No rule can open an inbox to another user: only administrators tap.
        let reaches_others = self.reaches_others(&filter);
        let allowed = decision.allowed && (!reaches_others || self.identity.role == Role::Admin);
        let (true, Some(scope)) = (allowed, scope) else {
            self.ctx.metrics.subscribes_denied.add(1);
            tracing::info!(user = %self.identity.username, client_id = %self.client_id, filter = filter.as_str(), "subscribe refused");
            return Err(SubackCode::NotAuthorized);
        };
        let new = !self.granted.iter().any(|g| g.filter == filter);
        if new && self.granted.len() >= self.ctx.limits.subscriptions_per_session {
            return Err(SubackCode::QuotaExceeded);
        }
        if topics::touches_shared(&filter) {
            let bus = &self.ctx.bus;
            bus.subscribe(&scope, &filter, self.id, &self.mailbox)
                .await
                .map_err(|_| SubackCode::Unspecified)?;
        }
        if reaches_others {
            let registry = &self.ctx.registry;
            registry.tap(&self.identity, &filter, self.id, &self.mailbox);
        }
        Ok((filter, new))
    }

    /// Whether `filter` may match what others are notified of.
    fn reaches_others(&self, filter: &TopicFilter) -> bool {
        topics::touches_users(filter) && !topics::own(&self.identity.username).covers(filter)
    }

    /// MQTT 5 section 3.3.1.3: what is retained goes to a new subscription, and as the client asked to a repeated one.
    fn queue_retained(&mut self, filter: &TopicFilter, handling: RetainHandling, new: bool) {
        let wanted = match handling {
            RetainHandling::SendRetained => true,
            RetainHandling::SendRetainedIfNotExists => new,
            RetainHandling::DoNotSendRetained => false,
        };
        if wanted && topics::touches_shared(filter) {
            let text: Arc<str> = filter.as_str().into();
            let retained = self.ctx.bus.retained(filter).into_iter();
            self.shared.extend(retained.map(|message| Delivery {
                filter: text.clone(),
                message,
                retained: true,
            }));
        }
    }

    /// Starts delivery of the inbox if a filter covers it now: behind `after`, or behind what was acknowledged last.
    async fn start_inbox(&mut self, after: Option<Result<i64, ()>>) -> Result<(), End> {
        let inbox = topics::inbox(&self.identity.username);
        if !self.granted.iter().any(|g| g.filter.matches(&inbox)) {
            return Ok(());
        }
        let after = match after {
            Some(Ok(after)) => after,
            Some(Err(())) => return Err(End::Server(Reason::ProtocolError)),
            None if self.inbox.is_some() => return Ok(()),
            None => match self.ctx.inbox.acknowledged(&self.identity).await {
                Ok(acknowledged) => acknowledged,
                Err(e) => {
                    tracing::error!(error = %e, "inbox cannot be read");
                    return Err(End::Server(Reason::Unavailable));
                }
            },
        };
        self.inbox = Some(InboxState {
            feed: Feed::new(after, RECEIVE_MAXIMUM.into()),
            reading: None,
        });
        Ok(())
    }

    pub(super) async fn unsubscribe(
        &mut self,
        packet_id: u16,
        filters: Vec<String>,
    ) -> Result<(), End> {
        let mut codes = Vec::with_capacity(filters.len());
        for text in &filters {
            let Ok(filter) = TopicFilter::parse(text) else {
                codes.push(UnsubackCode::TopicFilterInvalid);
                continue;
            };
            let before = self.granted.len();
            self.granted.retain(|g| g.filter != filter);
            if self.granted.len() == before {
                codes.push(UnsubackCode::NoSubscriptionExisted);
                continue;
            }
            self.ctx.bus.unsubscribe(self.id, Some(&filter)).await;
            self.ctx.registry.untap(self.id, &filter);
            codes.push(UnsubackCode::Success);
        }
        let inbox = topics::inbox(&self.identity.username);
        if !self.granted.iter().any(|g| g.filter.matches(&inbox)) {
            self.inbox = None;
        }
        self.io.wire.unsuback(packet_id, &codes)?;
        Ok(())
    }
}
