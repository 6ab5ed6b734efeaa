//! Notifications that other servers have written, for the sessions of this one.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::pending,
    time::Duration,
};

use herald_acl::Username;
use herald_broker::Broker;
use herald_store::{Seq, Store, StoreError, UserId};
use tokio::time::{Instant, sleep_until};

use super::message::NodeMessage;
use crate::host::{BATCH_BYTES, notification};

/// How many users are told at once that they have to read, and after which pause the next: each of their sessions reads for
/// itself, with connections that others need, too.
const TOLD: usize = 64;
const PAUSE: Duration = Duration::from_millis(10);

/// Brings them to the sessions. What fails is left to the next look.
pub(crate) struct RemoteInboxes {
    store: Store,
    broker: Broker,
    /// The newest number that the sessions of each user were told at a look, of those who were online at the last one.
    known: HashMap<UserId, Seq>,
    /// Who is still to be told since then, and when the next.
    behind: VecDeque<(UserId, Username, Seq)>,
    tell_at: Instant,
}

/// Notifications that are to be read, and whose they are.
type Numbers = Vec<(UserId, Seq)>;

impl RemoteInboxes {
    pub(crate) fn new(store: Store, broker: Broker) -> Self {
        Self {
            store,
            broker,
            known: HashMap::new(),
            behind: VecDeque::new(),
            tell_at: Instant::now(),
        }
    }

    /// Brings what other servers say that they have written to users who are online here. `false` if that has failed.
    pub(super) async fn hear(&self, messages: Vec<NodeMessage>) -> bool {
        let (mut numbers, mut names) = (Numbers::new(), HashMap::new());
        for message in messages {
            match message {
                NodeMessage::Finished {
                    user_id,
                    username,
                    seq,
                } => {
                    let Ok(username) = Username::parse(&username) else {
                        continue;
                    };
                    if self.broker.is_online(&user_id, &username) {
                        let user = UserId::from_string(user_id);
                        numbers.push((user.clone(), Seq(seq)));
                        names.insert(user, username);
                    }
                }
                NodeMessage::Unclear { username } => {
                    if let Ok(username) = Username::parse(&username) {
                        self.broker.nudge(&username);
                    }
                }
                NodeMessage::Skipped {
                    user_id,
                    username,
                    client_id,
                    up_to,
                } => {
                    if let Ok(username) = Username::parse(&username) {
                        self.broker.skip(&user_id, &username, &client_id, up_to);
                    }
                }
                // Others have it already.
                _ => {}
            }
        }
        let mut done = true;
        for numbers in numbers.chunks(Store::NUMBERS) {
            if let Err(error) = self.bring(numbers, &names).await {
                tracing::debug!(%error, "what other servers have finished could not be read");
                done = false;
            }
        }
        done
    }

    /// Reads these notifications at once, and notifies the sessions of their users.
    async fn bring(
        &self,
        numbers: &[(UserId, Seq)],
        names: &HashMap<UserId, Username>,
    ) -> Result<(), StoreError> {
        let store = &self.store;
        let read = store.numbered_notifications(numbers, BATCH_BYTES).await?;
        let mut brought = HashSet::new();
        for (user, found) in &read.items {
            brought.insert((user, found.seq));
            if let Some(username) = names.get(user) {
                let found = notification(found);
                self.broker.notify_sessions(user.as_str(), username, &found);
            }
        }
        // What was too much to be read together, or is deleted by now, is for the sessions to find.
        for (user, seq) in numbers {
            if !brought.contains(&(user, *seq))
                && let Some(username) = names.get(user)
            {
                self.broker.tell_newest(user.as_str(), username, seq.0);
            }
        }
        Ok(())
    }

    /// Looks how far the inboxes go of all who are online. The sessions of those that have changed since the last time are to be
    /// [told](Self::tell). `false` if that has failed.
    pub(super) async fn look(&mut self) -> bool {
        let online = self.broker.online().into_iter();
        let online = online.map(|(user_id, username)| (UserId::from_string(user_id), username));
        let mut online: HashMap<UserId, Username> = online.collect();
        let users: Vec<_> = online.keys().cloned().collect();
        let newest = match self.store.newest_numbers(&users).await {
            Ok(newest) => newest,
            Err(error) => {
                tracing::debug!(%error, "inboxes could not be looked at");
                return false;
            }
        };
        self.known.retain(|user, _| online.contains_key(user));
        let changed = newest.into_iter().filter_map(|(user, seq)| {
            let is_new = self.known.get(&user) != Some(&seq);
            let username = is_new.then(|| online.remove(&user)).flatten()?;
            Some((user, username, seq))
        });
        self.behind = changed.collect();
        true
    }

    /// Tells the next of those that are to be told after a look, when it is time; waits for ever if there are none.
    pub(super) async fn tell(&mut self) {
        if self.behind.is_empty() {
            return pending().await;
        }
        sleep_until(self.tell_at).await;
        let next = self.behind.len().min(TOLD);
        for (user, username, seq) in self.behind.drain(..next) {
            self.broker.tell_newest(user.as_str(), &username, seq.0);
            self.known.insert(user, seq);
        }
        self.tell_at = Instant::now() + PAUSE;
    }
}
