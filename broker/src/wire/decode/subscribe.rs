//! SUBSCRIBE.

use std::num::NonZeroU32;

use mqtt_protocol_core::mqtt::packet::{Property, RetainHandling, v3_1_1, v5_0};

use crate::wire::incoming::{Subscribe, Subscription};

pub(super) fn subscribe_v3(p: &v3_1_1::Subscribe) -> Subscribe {
    let subscriptions = p.entries().iter().map(|e| Subscription {
        filter: e.topic_filter().to_owned(),
        qos: e.sub_opts().qos(),
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::SendRetained,
    });
    Subscribe {
        packet_id: p.packet_id(),
        subscriptions: subscriptions.collect(),
        identifier: None,
        after: None,
        epoch: None,
    }
}

pub(super) fn subscribe_v5(p: &v5_0::Subscribe) -> Subscribe {
    let mut identifier = None;
    let mut after = None;
    let mut epoch = None;
    for prop in p.props() {
        match prop {
            Property::SubscriptionIdentifier(v) => identifier = NonZeroU32::new(v.val()),
            Property::UserProperty(v) if v.key() == "after" => {
                after = Some(v.val().parse().ok().filter(|n| *n >= 0).ok_or(()));
            }
            Property::UserProperty(v) if v.key() == "epoch" => epoch = Some(v.val().into()),
            _ => {}
        }
    }
    let subscriptions = p.entries().iter().map(|e| Subscription {
        filter: e.topic_filter().to_owned(),
        qos: e.sub_opts().qos(),
        no_local: e.sub_opts().nl(),
        retain_as_published: e.sub_opts().rap(),
        retain_handling: e.sub_opts().rh(),
    });
    Subscribe {
        packet_id: p.packet_id(),
        subscriptions: subscriptions.collect(),
        identifier,
        after,
        epoch,
    }
}

/// Gives the subscriptions of a bridge that speaks MQTT 3.1.1 the options that it would set in MQTT 5.
pub(in crate::wire) fn with_bridge_options(subscribe: &mut Subscribe) {
    for subscription in &mut subscribe.subscriptions {
        // A shared subscription has no no-local (MQTT 5 section 3.8.3.1).
        subscription.no_local = !subscription.filter.starts_with("$share/");
        subscription.retain_as_published = true;
    }
}
