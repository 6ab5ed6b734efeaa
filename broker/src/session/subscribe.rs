//! SUBSCRIBE and UNSUBSCRIBE.

use std::num::NonZeroU32;

use herald_acl::{Action, Denial, TopicFilter, topics};

use super::{
    connected::Session,
    end::End,
    filters::{Subscribing, Unsubscribing},
    rights::may_subscribe,
    task::Task,
};
use crate::{
    delivery::Delivery,
    ids::SubscriptionKey,
    state::{Granted, Replay, brings},
    wire::{Qos, Reason, RetainHandling, SubackCode, Subscribe, Subscription, UnsubackCode},
};

/// Reason string for an `after` of another epoch.
const STARTS_OVER: &str = "after is of another epoch: the inbox starts over";

impl Session {
    pub(super) fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), End> {
        // `after` is where the inbox starts, and means nothing to other subscriptions.
        let inbox = topics::inbox(&self.client.identity.username);
        let asks = |s: &Subscription| {
            TopicFilter::parse(&s.filter).is_ok_and(|filter| brings(&filter, &inbox))
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
        self.task = Some(Task::Subscribe(Box::new(Subscribing {
            packet_id: subscribe.packet_id,
            identifier: subscribe.identifier,
            codes: Vec::with_capacity(subscribe.subscriptions.len()),
            filters: subscribe.subscriptions.into_iter(),
            to_inbox: false,
            after,
            epoch: epoch.map(|epoch| (epoch, why)),
        })));
        Ok(())
    }

    /// Handles the next filter; after the last one, starts the inbox or sends SUBACK.
    pub(super) fn subscribe_next(&mut self, mut all: Box<Subscribing>) -> Result<(), End> {
        let Some(subscription) = all.filters.next() else {
            // Before SUBACK: a client that is subscribed has a position from which it gets everything.
            all.after = all.after.filter(|_| all.to_inbox);
            let Some(position) = self.locate_inbox(all.after) else {
                return self.suback(&all);
            };
            self.task = Some(Task::Position(all, position));
            return Ok(());
        };
        let code = if all.codes.len() >= self.ctx.limits.filters_per_subscribe() {
            // Each filter has a reason code (MQTT 5 section 3.9.3), and this one costs nothing.
            SubackCode::QuotaExceeded
        } else {
            match self.grant(&subscription, all.identifier)? {
                Ok(granted) => {
                    let inbox = topics::inbox(&self.client.identity.username);
                    all.to_inbox |= granted.is_for(&inbox);
                    let qos = granted.qos;
                    self.guard.grant(&mut self.state, granted);
                    match qos {
                        Qos::AtMostOnce => SubackCode::Granted0,
                        Qos::AtLeastOnce => SubackCode::Granted1,
                        Qos::ExactlyOnce => SubackCode::Granted2,
                    }
                }
                Err(code) => code,
            }
        };
        all.codes.push(code);
        self.task = Some(Task::Subscribe(all));
        Ok(())
    }

    pub(super) fn suback(&mut self, all: &Subscribing) -> Result<(), End> {
        let epoch = all.epoch.as_ref().map(|(epoch, why)| (&**epoch, *why));
        self.wire.suback(all.packet_id, &all.codes, epoch)?;
        Ok(())
    }

    /// Asks the ACL, and sets up what the filter touches.
    fn grant(
        &mut self,
        subscription: &Subscription,
        identifier: Option<NonZeroU32>,
    ) -> Result<Result<Granted, SubackCode>, End> {
        let Ok(filter) = TopicFilter::parse(&subscription.filter) else {
            return Ok(Err(SubackCode::TopicFilterInvalid));
        };
        if filter.is_shared() && subscription.no_local {
            // MQTT 5 section 3.8.3.1-4.
            return Err(End::Server(Reason::ProtocolError));
        }
        let permit = match may_subscribe(&self.ctx, &self.client, &filter) {
            Ok(permit) => permit,
            Err(denial) => return Ok(Err(self.refuse(&filter, &denial))),
        };
        let old = self.state.granted.iter().find(|g| g.filter == filter);
        let old = old.map(|g| g.key);
        if old.is_none() && self.state.granted.len() >= self.ctx.limits.subscriptions_per_session {
            return Ok(Err(SubackCode::QuotaExceeded));
        }
        let granted = Granted {
            key: old.unwrap_or_else(SubscriptionKey::next),
            qos: granted_qos(&filter, subscription.qos),
            filter,
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            identifier,
        };
        let touches_shared = topics::touches_shared(&granted.filter);
        let last = touches_shared.then(|| {
            let group_owner = permit.group_owner.as_ref();
            self.guard.subscribe(&granted, group_owner)
        });
        self.guard.observe(&self.client.identity, &granted);
        let wanted = match subscription.retain_handling {
            RetainHandling::SendRetained => true,
            RetainHandling::SendRetainedIfNotExists => old.is_none(),
            RetainHandling::DoNotSendRetained => false,
        };
        self.queue_retained(&granted, last, wanted);
        Ok(Ok(granted))
    }

    /// The SUBACK code of a filter that the client may not have.
    fn refuse(&self, filter: &TopicFilter, denial: &Denial) -> SubackCode {
        match denial {
            Denial::FilterTooLong => SubackCode::QuotaExceeded,
            Denial::NotShareable => SubackCode::SharedSubscriptionsNotSupported,
            Denial::Rule(_) | Denial::NoRule | Denial::Reserved | Denial::NotAdministrator => {
                self.ctx.metrics.subscribes_denied.add(1);
                self.client
                    .report_denied(&self.ctx, Action::Subscribe, filter.as_str());
                tracing::info!(user = %self.client.identity.username, client_id = ?self.client.id, "subscribe refused");
                SubackCode::NotAuthorized
            }
        }
    }

    /// MQTT 5 section 3.3.1.3: what is retained goes to a new subscription, and as the client asked to a repeated one; to one
    /// that is shared, never (section 4.8.2). `last` is the message before it, if it is one to shared topics.
    fn queue_retained(&mut self, granted: &Granted, last: Option<u64>, wanted: bool) {
        let (subscription, filter) = (granted.key, &granted.filter);
        // One replay a subscription, so they are bounded like these.
        self.state
            .replays
            .retain(|r| r.subscription != subscription);
        if !wanted || filter.is_shared() {
            return;
        }
        if let Some(last) = last {
            self.state.replays.push_back(Replay {
                subscription,
                filter: filter.clone(),
                last,
                after: None,
            });
        }
        if topics::touches_sys(filter) {
            // Those of a repeated subscription replace the earlier ones, so they are bounded like subscriptions.
            let of_this = |d: &Delivery| d.retained && d.is_for(subscription);
            self.state.shared.retain(|d| !of_this(d));
            let latest = self.ctx.sys.latest(filter).into_iter();
            let latest = latest.map(|message| Delivery::retained(message, subscription));
            self.state.shared.extend(latest);
        }
    }

    /// However many filters there are: UNSUBACK of 3.1.1 cannot refuse one.
    pub(super) fn unsubscribe(&mut self, packet_id: u16, filters: Vec<String>) {
        self.task = Some(Task::Unsubscribe(Box::new(Unsubscribing {
            packet_id,
            codes: Vec::with_capacity(filters.len()),
            filters: filters.into_iter(),
        })));
    }

    /// Handles the next filter; after the last one, sends UNSUBACK.
    pub(super) fn unsubscribe_next(&mut self, mut all: Box<Unsubscribing>) -> Result<(), End> {
        let Some(filter) = all.filters.next() else {
            self.wire.unsuback(all.packet_id, &all.codes)?;
            return Ok(());
        };
        all.codes.push(match TopicFilter::parse(&filter) {
            Err(_) => UnsubackCode::TopicFilterInvalid,
            Ok(filter) if self.drop_subscription(&filter) => UnsubackCode::Success,
            Ok(_) => UnsubackCode::NoSubscriptionExisted,
        });
        self.task = Some(Task::Unsubscribe(all));
        Ok(())
    }

    /// Ends a subscription. `false` if there is none to this filter.
    fn drop_subscription(&mut self, filter: &TopicFilter) -> bool {
        let dropped = self.guard.drop_subscription(&mut self.state, filter);
        if self.state.inbox.is_none() {
            self.reading = None;
        }
        dropped
    }
}

/// The inbox comes at QoS 1 at most, progress at 0.
fn granted_qos(filter: &TopicFilter, asked: Qos) -> Qos {
    if topics::progress_owner(filter).is_some() {
        Qos::AtMostOnce
    } else if topics::is_below_users(filter) {
        asked.min(Qos::AtLeastOnce)
    } else {
        asked
    }
}
