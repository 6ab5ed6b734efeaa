//! Where rights are in force.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::{Policy, Username};
use herald_broker::{Broker, Revoked};

use crate::nodes::{Followed, Standing};

/// Where rights are in force.
pub(crate) trait Enforce {
    fn set_policy(&self, policy: Policy);
    fn revoke(&self, username: &Username, revoked: &Revoked);

    /// Lets go of a user who is gone; whoever frees the name waits for that.
    fn forget(&self, username: &Username) -> BoxFuture<'static, ()>;

    /// What was held back while it was not known whether rights had ended goes on.
    fn go_on(&self);
}

/// The broker of a server.
pub(crate) struct Enforcer {
    pub(crate) broker: Broker,
    pub(crate) standing: Arc<Standing>,
    /// `None` if no other server saves anything.
    pub(crate) retained: Option<Followed>,
}

impl Enforce for Enforcer {
    fn set_policy(&self, policy: Policy) {
        self.broker.set_policy(policy);
    }

    fn revoke(&self, username: &Username, revoked: &Revoked) {
        self.broker.revoke(username, revoked);
    }

    fn forget(&self, username: &Username) -> BoxFuture<'static, ()> {
        let (broker, standing) = (self.broker.clone(), self.standing.clone());
        let (retained, username) = (self.retained.clone(), username.clone());
        async move {
            let risen = standing.times_risen();
            loop {
                if let Some(retained) = &retained {
                    retained.caught_up().await;
                }
                // Nobody waits for a server that has been cut off: the name may be another user's. It has nothing that is
                // not saved, and knows what is.
                if !standing.stands() || standing.times_risen() != risen {
                    return;
                }
                match broker.forget_user(&username).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(%error, user = %username, "trying again");
                    }
                }
            }
        }
        .boxed()
    }

    fn go_on(&self) {
        self.broker.go_on();
    }
}
