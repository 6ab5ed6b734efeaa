//! Sessions that follow what becomes of a user's messages before they end.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use herald_acl::{TopicFilter, Username, topics};
use parking_lot::Mutex;

use crate::{
    delivery::{Delivery, Subscriber},
    host::Identity,
    ids::{SessionId, SubscriptionKey},
    message::Message,
};

struct Follower {
    session: SessionId,
    subscription: SubscriptionKey,
    /// The host's key for the session's user, if that user's own messages are followed: the name may come to be another's.
    /// `None` for an administrator who follows another's.
    user_id: Option<Arc<str>>,
    subscriber: Arc<dyn Subscriber>,
}

#[derive(Default)]
struct Follows {
    /// By whose messages they are.
    followers: HashMap<Username, Vec<Follower>>,
    /// Whom each session follows, to find it when it ends.
    followed: HashMap<SessionId, Vec<Username>>,
}

/// Who follows whom. They are found by name, so no topic is matched. What does not fit is dropped and counted: nobody ever
/// waits for them.
#[derive(Default)]
pub(crate) struct Progress {
    state: Mutex<Follows>,
}

impl Progress {
    /// Delivers what becomes of the messages of `username` to `subscriber`, a session of `identity`, from now on.
    pub(crate) fn follow(
        &self,
        identity: &Identity,
        username: &Username,
        (session, subscription): (SessionId, SubscriptionKey),
        subscriber: Arc<dyn Subscriber>,
    ) {
        let mut state = self.state.lock();
        let followed = state.followed.entry(session).or_default();
        if followed.contains(username) {
            return;
        }
        followed.push(username.clone());
        let own = identity.username == *username;
        let followers = state.followers.entry(username.clone()).or_default();
        followers.push(Follower {
            session,
            subscription,
            user_id: own.then(|| identity.user_id.clone()),
            subscriber,
        });
    }

    /// Ends what [`Progress::follow`] began, if `filter` is for that.
    pub(crate) fn unfollow(&self, session: SessionId, filter: &TopicFilter) {
        if let Some(username) = topics::progress_owner(filter) {
            self.state.lock().remove(session, &username);
        }
    }

    /// Ends all that the session follows.
    pub(crate) fn unfollow_all(&self, session: SessionId) {
        let mut state = self.state.lock();
        for username in state.followed.remove(&session).unwrap_or_default() {
            state.remove(session, &username);
        }
    }

    /// Whether anybody follows anyone.
    pub(crate) fn is_followed(&self) -> bool {
        !self.state.lock().followers.is_empty()
    }

    /// Publishes to those who follow the user with this key and name. Returns how many copies were dropped.
    pub(crate) fn publish(
        &self,
        user_id: &str,
        username: &Username,
        payload: impl FnOnce() -> Bytes,
    ) -> u64 {
        let state = self.state.lock();
        let Some(followers) = state.followers.get(username) else {
            return 0;
        };
        let is_theirs = |f: &&Follower| f.user_id.as_deref().is_none_or(|id| id == user_id);
        copy(username, payload(), followers.iter().filter(is_theirs))
    }

    /// Publishes to everyone who follows anyone, as progress of each user whom they follow. Returns how many copies were
    /// dropped.
    pub(crate) fn publish_to_all(&self, payload: impl FnOnce() -> Bytes) -> u64 {
        let state = self.state.lock();
        if state.followers.is_empty() {
            return 0;
        }
        let payload = payload();
        let all = state.followers.iter();
        all.map(|(username, followers)| copy(username, payload.clone(), followers.iter()))
            .sum()
    }
}

impl Follows {
    fn remove(&mut self, session: SessionId, username: &Username) {
        if let Some(followed) = self.followed.get_mut(&session) {
            followed.retain(|name| name != username);
            if followed.is_empty() {
                self.followed.remove(&session);
            }
        }
        if let Some(followers) = self.followers.get_mut(username) {
            followers.retain(|f| f.session != session);
            if followers.is_empty() {
                self.followers.remove(username);
            }
        }
    }
}

fn copy<'a>(
    username: &Username,
    payload: Bytes,
    followers: impl Iterator<Item = &'a Follower>,
) -> u64 {
    let message = Message::of_ours(topics::progress(username), payload);
    let message = Arc::new(message);
    let copies = followers.map(|follower| {
        let subscriptions = [follower.subscription].into_iter().collect();
        let delivery = Delivery::live(message.clone(), subscriptions);
        follower.subscriber.deliver(delivery).dropped
    });
    copies.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Mailbox;

    #[test]
    fn nothing_is_made_for_nobody_and_who_ends_leaves_nothing_behind() {
        let progress = Progress::default();
        let nobody = || -> Bytes { unreachable!("nobody follows") };
        let [alice, bob] = ["alice", "bob"].map(|name| Username::parse(name).unwrap());
        let identity = Identity {
            user_id: "1".into(),
            username: alice.clone(),
            role: herald_acl::Role::Admin,
            credential: crate::Credential::Password,
        };
        let subscription = || (SessionId::next(), SubscriptionKey::next());
        let (one, other) = (subscription(), subscription());
        let mailbox = Arc::<Mailbox>::default();
        for _ in 0..2 {
            progress.follow(&identity, &alice, one, mailbox.clone());
            progress.follow(&identity, &bob, one, mailbox.clone());
            progress.follow(&identity, &alice, other, mailbox.clone());
        }
        progress.publish("2", &bob, || "x".into());
        assert_eq!(
            mailbox.take(false).shared.len(),
            1,
            "once, though asked for twice"
        );
        progress.publish_to_all(|| "x".into());
        assert_eq!(mailbox.take(false).shared.len(), 3);
        progress.unfollow_all(one.0);
        progress.publish("2", &bob, nobody);
        let own = TopicFilter::parse("users/alice/progress").unwrap();
        progress.unfollow(other.0, &own);
        progress.publish("1", &alice, nobody);
        progress.publish_to_all(nobody);
        assert!(progress.state.lock().followed.is_empty());
        assert_eq!(mailbox.take(false).shared.len(), 0);
    }
}
