//! A broker with tight bounds, which takes or refuses messages as they ask for.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Actions;
use herald_broker::{Broker, Identity, Intake, Limits, SendRefusal, SendRequest};

use crate::common::hosts;

/// Keeps nothing of what it takes.
struct Obliging;

impl Intake for Obliging {
    /// The body says what becomes of it.
    fn send(&self, _: &Identity, send: SendRequest) -> BoxFuture<'static, Result<(), SendRefusal>> {
        async move {
            match send.body.as_str() {
                "" => Err(SendRefusal::Invalid("empty".into())),
                "long" => Err(SendRefusal::Quota("too long".into())),
                "busy" => Err(SendRefusal::Busy),
                "down" => Err(SendRefusal::Unavailable),
                _ => {
                    tokio::task::yield_now().await;
                    Ok(())
                }
            }
        }
        .boxed()
    }
}

/// Starts a broker that lets clients do `shared` on shared topics. Sessions that are kept without a connection are so for
/// a second.
pub(crate) async fn broker(shared: Actions) -> Broker {
    let limits = Limits {
        packet_bytes: 4096,
        queued_bytes: 64 * 1024,
        publishes_per_s: 0,
        max_session_expiry_s: 1,
        ..Limits::default()
    };
    hosts::broker(limits, shared, Arc::new(Obliging)).await
}
