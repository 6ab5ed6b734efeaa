//! SUBSCRIBE and UNSUBSCRIBE.

use herald_acl::{Role, TopicFilter};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{End, Granted, InboxState, Replay, Session};
use crate::{
    feed::Feed,
    topics,
    wire::{Qos, Reason, RetainHandling, SubackCode, Subscribe, Subscription, UnsubackCode},
};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    pub(super) async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), End> {
        let after = match subscribe.after {
            Some(Err(())) => return Err(End::Server(Reason::ProtocolError)),
            Some(Ok(after)) => Some(after),
            None => None,
        };
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
        self.start_inbox(after).await
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
        let policy = self.ctx.policy();
        let decision = policy.subscribe(&self.who(), &filter);
        let scope = decision.rule.as_deref().and_then(|rule| policy.scope(rule));
        // No rule can open an inbox to another user: only administrators tap.
        let reaches_others = self.reaches_others(&filter);
        let allowed = decision.allowed && (!reaches_others || self.identity.role == Role::Admin);
        let (true, Some(scope)) = (allowed, scope) else {
            self.ctx.metrics.subscribes_denied.add(1);
            tracing::info!(user = %self.identity.username, client_id = ?self.client_id, filter = ?filter.as_str(), "subscribe refused");
            return Err(SubackCode::NotAuthorized);
        };
        let new = !self.granted.iter().any(|g| g.filter == filter);
        if new && self.granted.len() >= self.ctx.limits.subscriptions_per_session {
            return Err(SubackCode::QuotaExceeded);
        }
        if topics::touches_shared(&filter) {
            let bus = &self.ctx.bus;
            bus.subscribe(&scope, &filter, self.id, &self.mailbox)
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
        // One replay a subscription, so they are bounded like these.
        self.replays.retain(|r| &r.filter != filter);
        if wanted && topics::touches_shared(filter) {
            self.replays.push_back(Replay {
                filter: filter.clone(),
                after: None,
            });
        }
    }

    /// Starts delivery of the inbox if a filter covers it now: behind `after`, or behind what was acknowledged last.
    async fn start_inbox(&mut self, after: Option<i64>) -> Result<(), End> {
        let inbox = topics::inbox(&self.identity.username);
        if !self.granted.iter().any(|g| g.filter.matches(&inbox)) {
            return Ok(());
        }
        if self.inbox.is_some() && after.is_none() {
            return Ok(());
        }
        let inbox = &self.ctx.inbox;
        let start = match after {
            // What the client remembers may be ahead of a database that was restored.
            Some(after) => inbox.newest(&self.identity).await.map(|n| n.min(after)),
            None => inbox.acknowledged(&self.identity).await,
        };
        let start = start.map_err(|e| {
            tracing::error!(error = %e, "inbox cannot be read");
            End::Server(Reason::Unavailable)
        })?;
        self.inbox = Some(InboxState {
            feed: Feed::new(start, self.window),
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
            self.ctx.bus.unsubscribe(self.id, Some(&filter));
            self.replays.retain(|r| r.filter != filter);
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
