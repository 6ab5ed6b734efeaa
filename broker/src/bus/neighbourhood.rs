//! What is known of the other servers, and what they are told.
//!
//! Each tells the others which groups of shared subscriptions have members there: whoever takes a message from a publisher
//! chooses the server of the member that gets it. All other messages go to all servers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use herald_acl::Username;
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};

use super::{
    frames::{self, Copies, Frame, GroupName, Interests, ServerTag},
    groups::Counts,
    subscriptions::Subscriptions,
};
use crate::{ids::GroupId, message::Message, neighbours::Neighbours};

/// How long changes are gathered before the others are told.
const GATHER: Duration = Duration::from_millis(5);

/// How soon all is told again, at the earliest, and what was not sent.
const AGAIN: Duration = Duration::from_millis(250);

/// How long it may take to be sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the names of groups told of in one frame.
const TOGETHER: usize = 16 * 1024;

/// The other servers.
pub(crate) struct Neighbourhood {
    carrier: Arc<dyn Neighbours>,
    /// What this one is called in frames.
    tag: ServerTag,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Those that are there.
    names: HashSet<Arc<str>>,
    /// What those have told that have told something.
    told: HashMap<Arc<str>, Told>,
    /// What is wanted here.
    copies: Copies,
    /// They are to be told all.
    anew: bool,
    /// They are to tell all.
    ask: bool,
    /// What is wanted here has changed.
    copies_changed: bool,
}

struct Told {
    tag: ServerTag,
    copies: Copies,
}

impl Neighbourhood {
    pub(super) fn new(carrier: Arc<dyn Neighbours>) -> Self {
        Self {
            carrier,
            tag: rand::random(),
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The servers with these names are there, and no others.
    pub(super) fn know(&self, names: HashSet<Arc<str>>, subscriptions: &RwLock<Subscriptions>) {
        let mut state = self.state.lock();
        let has_new = names.iter().any(|name| !state.names.contains(name));
        state.anew |= has_new;
        state.ask |= has_new;
        let gone: Vec<_> = state
            .told
            .keys()
            .filter(|name| !names.contains(*name))
            .cloned()
            .collect();
        state.names = names;
        for name in gone {
            let told = state.told.remove(&name);
            self.forget(told, &state, subscriptions);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// One that is there has told what it wants.
    pub(super) fn told(
        &self,
        name: &Arc<str>,
        interests: Interests,
        subscriptions: &RwLock<Subscriptions>,
    ) {
        let mut state = self.state.lock();
        if !state.names.contains(name) || interests.tag == self.tag {
            // It is asked once it is known.
            return;
        }
        let told = Told {
            tag: interests.tag,
            copies: interests.copies,
        };
        let before = state.told.insert(name.clone(), told);
        if before
            .as_ref()
            .is_some_and(|told| told.tag != interests.tag)
        {
            self.forget(before, &state, subscriptions);
        }
        let mut subscriptions = subscriptions.write();
        if interests.anew {
            subscriptions.forget_server(interests.tag);
        }
        for (group, online, offline) in &interests.groups {
            if let Some(id) = group.id() {
                let (online, offline) = (*online, *offline);
                let counts = Counts { online, offline };
                subscriptions.count_elsewhere(interests.tag, id, counts);
            }
        }
    }

    /// Something is not known of others that they have told.
    pub(super) fn missed(&self) {
        self.state.lock().ask = true;
        self.changed.notify_one();
    }

    /// All are to be told everything.
    pub(super) fn asked(&self) {
        self.state.lock().anew = true;
        self.changed.notify_one();
    }

    /// Members of groups have changed here.
    pub(super) fn groups_changed(&self) {
        self.changed.notify_one();
    }

    /// Which copies are wanted here may have changed: `copies` returns them.
    pub(crate) fn want(&self, copies: impl FnOnce() -> Copies) {
        // That of two who look at once the later one counts.
        let mut state = self.state.lock();
        let copies = copies();
        if state.copies != copies {
            state.copies = copies;
            state.copies_changed = true;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Which copies another server wants.
    fn wanted(&self) -> Copies {
        let state = self.state.lock();
        let all = state.told.values().map(|told| told.copies);
        all.fold(Copies::default(), |a, b| Copies {
            progress: a.progress | b.progress,
            notifications: a.notifications | b.notifications,
        })
    }

    pub(super) fn are_there(&self) -> bool {
        self.carrier.are_there()
    }

    pub(super) fn now(&self) -> std::time::SystemTime {
        self.carrier.now()
    }

    /// Which of these groups were chosen for this server.
    pub(super) fn own(&self, groups: &[(GroupName, ServerTag)]) -> Vec<GroupId> {
        let own = groups.iter().filter(|(_, server)| *server == self.tag);
        own.filter_map(|(group, _)| group.id()).collect()
    }

    /// Sends what was published here to the others.
    pub(super) fn publish(
        &self,
        message: &Message,
        groups: &[(Arc<GroupId>, ServerTag)],
        taken: Option<oneshot::Sender<()>>,
    ) {
        if self.are_there() {
            let frame = frames::published(message, self.now(), names(groups), false);
            self.carrier.send(frame, taken);
        } else if let Some(taken) = taken {
            // There is nobody to lose it. Who has published may not wait any more.
            let _ = taken.send(());
        }
    }

    /// Sends a message that others had before to members of groups.
    pub(super) fn publish_again(&self, message: &Message, groups: &[(Arc<GroupId>, ServerTag)]) {
        if !groups.is_empty() {
            let frame = frames::published(message, self.now(), names(groups), true);
            self.carrier.send(frame, None);
        }
    }

    /// Sends what became of a message to those who follow its user elsewhere.
    pub(crate) fn progress(
        &self,
        user_id: &str,
        username: &Username,
        payload: impl FnOnce() -> Bytes,
    ) {
        if self.wanted().progress {
            let frame = Frame::Progress {
                user_id: user_id.into(),
                username: username.as_str().into(),
            };
            self.carrier.send(frame.bytes(&payload()), None);
        }
    }

    /// The same for all users who are followed.
    pub(crate) fn progress_of_all(&self, payload: impl FnOnce() -> Bytes) {
        if self.wanted().progress {
            self.carrier
                .send(Frame::ProgressOfAll.bytes(&payload()), None);
        }
    }

    /// Sends a notification to those who observe it elsewhere.
    pub(crate) fn notified(&self, username: &Username, payload: &Bytes) {
        if self.wanted().notifications {
            let username = username.as_str().into();
            let frame = Frame::Notified { username };
            self.carrier.send(frame.bytes(payload), None);
        }
    }

    /// Tells the others what changes, for ever.
    pub(super) async fn run(&self, subscriptions: &RwLock<Subscriptions>) {
        loop {
            self.changed.notified().await;
            sleep(GATHER).await;
            let (anew, ask, copies) = {
                let mut state = self.state.lock();
                if state.names.is_empty() {
                    subscriptions.write().none_changed();
                    state.anew = true;
                    continue;
                }
                let copies_changed = std::mem::take(&mut state.copies_changed);
                let anew = std::mem::take(&mut state.anew);
                let copies = (copies_changed || anew).then_some(state.copies);
                (anew, std::mem::take(&mut state.ask), copies)
            };
            if anew {
                subscriptions.write().all_changed();
            }
            let told = self.tell(anew, ask, copies, subscriptions);
            if !matches!(timeout(PATIENCE, told).await, Ok(true)) {
                self.asked();
            }
            if anew || ask {
                sleep(AGAIN).await;
            }
        }
    }

    /// Returns whether all was sent.
    async fn tell(
        &self,
        mut anew: bool,
        ask: bool,
        copies: Option<Copies>,
        subscriptions: &RwLock<Subscriptions>,
    ) -> bool {
        if ask {
            self.carrier.send(Frame::Ask.bytes(&[]), None);
        }
        let mut is_due = copies.is_some();
        loop {
            let changed = subscriptions.write().take_changed(TOGETHER);
            if changed.is_empty() && !is_due {
                return true;
            }
            is_due = false;
            let groups = changed.iter();
            let groups = groups.map(|(id, c)| (GroupName::of(id), c.online, c.offline));
            let interests = Interests {
                tag: self.tag,
                anew: std::mem::take(&mut anew),
                groups: groups.collect(),
                copies: self.state.lock().copies,
            };
            let (taken, sent) = oneshot::channel();
            let frame = Frame::Interests(interests).bytes(&[]);
            self.carrier.send(frame, Some(taken));
            if sent.await.is_err() {
                return false;
            }
        }
    }

    /// What was told does not count any more, unless the same server goes on under another name.
    fn forget(&self, told: Option<Told>, state: &State, subscriptions: &RwLock<Subscriptions>) {
        let goes_on = |tag| state.told.values().any(|told| told.tag == tag);
        if let Some(told) = told
            && !goes_on(told.tag)
        {
            subscriptions.write().forget_server(told.tag);
        }
    }
}

fn names(groups: &[(Arc<GroupId>, ServerTag)]) -> Vec<(GroupName, ServerTag)> {
    let named = groups
        .iter()
        .map(|(id, server)| (GroupName::of(id), *server));
    named.collect()
}
