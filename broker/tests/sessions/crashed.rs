//! A task of the broker's that panics is noticed.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Actions;
use herald_broker::{Broker, Host, HostError, Limits, Retain, RetainedChange, RetainedMessage};
use tokio::time::timeout;

use crate::{
    common::{
        encode::{V5, publish},
        hosts,
    },
    held::Held,
    setup::{connect, open},
};

/// Panics when it is to save.
struct Broken;

impl Retain for Broken {
    fn load(&self) -> BoxFuture<'static, Result<Vec<RetainedMessage>, HostError>> {
        async { Ok(vec![]) }.boxed()
    }

    fn save(&self, _: Vec<RetainedChange>) -> BoxFuture<'static, Result<(), HostError>> {
        panic!("this is what is tested")
    }
}

async fn start() -> Broker {
    let host = Host {
        retain: Arc::new(Broken),
        ..hosts::host(Arc::new(Held::new()))
    };
    let broker = Broker::start(Limits::default(), hosts::policy(Actions::Both), host);
    broker.await.expect("the router starts")
}

#[tokio::test]
async fn a_crash_is_noticed_and_the_broker_can_still_be_stopped() {
    let broker = start().await;
    let mut phone = open(&broker, &connect("phone", true, 0)).await;
    assert!(broker.crashed().now_or_never().is_none());
    phone.send(&publish(V5, 3, "notice", 1, &[], "x")).await;
    let crashed = timeout(Duration::from_secs(10), broker.crashed()).await;
    crashed.expect("the crash is noticed");
    broker.stop().await;
}

#[tokio::test]
async fn a_stop_is_no_crash() {
    let broker = start().await;
    broker.stop().await;
    assert!(broker.crashed().now_or_never().is_none());
}
