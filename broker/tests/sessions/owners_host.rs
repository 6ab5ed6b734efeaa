//! Several brokers, and what knows which of them has a session: from memory, as a database would.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Actions;
use herald_broker::{
    Arrival, Broker, KeptWill, Limits, NotOwned, OwnSession, Owned, SessionEnd, SessionOwners,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{common::hosts, held::Held};

/// A session as it is written down.
#[derive(Clone, Debug)]
struct Row {
    /// Which of the brokers has it.
    at: usize,
    session: OwnSession,
    first_number: u64,
    is_connected: bool,
}

/// A will as it is written down.
#[derive(Clone, Debug)]
pub(crate) struct WillRow {
    at: usize,
    number: u64,
    pub(crate) kept: KeptWill,
    pub(crate) waits: bool,
}

/// By client id.
type Wills = HashMap<Arc<str>, WillRow>;

/// What the brokers share.
#[derive(Default)]
pub(crate) struct Directory {
    wills: Mutex<Wills>,
    /// No broker can be asked whether it stands, nor say anything.
    is_down: AtomicBool,
    rows: Mutex<HashMap<Arc<str>, Row>>,
    brokers: Mutex<Vec<Broker>>,
    /// Nobody is told to end anything.
    is_deaf: Mutex<bool>,
    /// Takeovers wait for a permit each.
    gate: Mutex<Option<Arc<Semaphore>>>,
    waiting: AtomicUsize,
}

/// One broker's part of it. Sessions are those of one user.
struct Desk {
    directory: Weak<Directory>,
    at: usize,
}

/// Starts brokers that share the sessions of their users, of which each may have so many.
pub(crate) async fn start(brokers: usize, sessions: usize) -> (Arc<Directory>, Vec<Broker>) {
    let directory = Arc::<Directory>::default();
    for at in 0..brokers {
        let limits = Limits {
            sessions_per_user: sessions,
            max_session_expiry_s: 60,
            ..Limits::default()
        };
        let desk = Desk {
            directory: Arc::downgrade(&directory),
            at,
        };
        let (policy, host) = (
            hosts::policy(Actions::Both),
            hosts::host(Arc::new(Held::new())),
        );
        let stands = Arc::new(Stands(Arc::downgrade(&directory)));
        let broker = Broker::start_among(limits, policy, host, stands, Some(Arc::new(desk)), None);
        let broker = broker.await.expect("it starts");
        directory.brokers.lock().push(broker);
    }
    let brokers = directory.brokers.lock().clone();
    (directory, brokers)
}

struct Stands(Weak<Directory>);

impl herald_broker::Standing for Stands {
    fn stands(&self) -> bool {
        let directory = self.0.upgrade();
        directory.is_none_or(|directory| !directory.is_down.load(Ordering::SeqCst))
    }
}

impl Directory {
    /// The client ids of all sessions, with the broker that has each and whether it is connected, sorted.
    pub(crate) fn rows(&self) -> Vec<(String, usize, bool)> {
        let rows = self.rows.lock();
        let rows = rows.iter();
        let mut rows: Vec<_> = rows
            .map(|(client_id, row)| (client_id.to_string(), row.at, row.is_connected))
            .collect();
        rows.sort();
        rows
    }

    /// The will of the session with this client id.
    pub(crate) fn will(&self, client_id: &str) -> Option<WillRow> {
        self.wills.lock().get(client_id).cloned()
    }

    /// Takes all wills away, as another one does that holds a broker to be gone.
    pub(crate) fn inherit_wills(&self) {
        self.wills.lock().clear();
    }

    /// Whether the brokers are cut off.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// From now on nobody is told to end anything.
    pub(crate) fn be_deaf(&self) {
        *self.is_deaf.lock() = true;
    }

    /// From now on a takeover is written down and then waits for a permit.
    pub(crate) fn hold(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.gate.lock() = Some(gate.clone());
        gate
    }

    /// How many takeovers have waited for a permit by now.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn take_over(&self, at: usize, arrival: &Arrival) -> Result<(Owned, Option<Row>), NotOwned> {
        let mut rows = self.rows.lock();
        let client_id = &arrival.session.client_id;
        let others = rows
            .iter()
            .filter(|(id, row)| *id != client_id && row.at != at);
        let elsewhere = others.count();
        if arrival.here + elsewhere >= arrival.limit && !arrival.idle_here {
            return Err(NotOwned::TooMany);
        }
        let before = rows.get(client_id).cloned();
        let own = before.as_ref().filter(|row| row.at == at);
        let mut session = arrival.session.clone();
        session.number = own.map_or(0, |row| row.session.number).max(session.number);
        let first_number = own.map_or(session.number, |row| row.first_number);
        let row = Row {
            at,
            session,
            first_number,
            is_connected: true,
        };
        rows.insert(client_id.clone(), row);
        let mut wills = self.wills.lock();
        wills.remove(client_id);
        if let Some(kept) = arrival.will.clone() {
            let number = arrival.session.number;
            let will = WillRow {
                at,
                number,
                kept,
                waits: false,
            };
            wills.insert(client_id.clone(), will);
        }
        let owned = Owned {
            first_number,
            elsewhere,
        };
        Ok((owned, before.filter(|row| row.at != at)))
    }

    fn own_row(&self, at: usize, session: &OwnSession, change: impl FnOnce(&mut Row) -> bool) {
        let mut rows = self.rows.lock();
        let row = rows.get_mut(&session.client_id);
        let row = row.filter(|row| row.at == at && row.session.number <= session.number);
        if row.is_some_and(|row| !change(row)) {
            rows.remove(&session.client_id);
        }
    }
}

impl Desk {
    /// Does something with the wills if that of this takeover is there.
    fn will(&self, session: OwnSession, then: impl FnOnce(&mut Wills, &Arc<str>)) {
        let Some(directory) = self.directory.upgrade() else {
            return;
        };
        let mut wills = directory.wills.lock();
        let will = wills.get(&session.client_id);
        if will.is_some_and(|will| will.at == self.at && will.number <= session.number) {
            then(&mut wills, &session.client_id);
        }
    }

    fn directory(&self) -> Arc<Directory> {
        self.directory.upgrade().expect("the test holds it")
    }
}

impl SessionOwners for Desk {
    fn take_over(&self, arrival: Arrival) -> BoxFuture<'static, Result<Owned, NotOwned>> {
        let (directory, at) = (self.directory(), self.at);
        async move {
            let (owned, before) = directory.take_over(at, &arrival)?;
            let gate = directory.gate.lock().clone();
            if let Some(gate) = gate {
                directory.waiting.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.expect("it is never closed").forget();
            }
            if let Some(before) = before
                && !*directory.is_deaf.lock()
            {
                let broker = directory.brokers.lock()[before.at].clone();
                let end = match arrival.clean {
                    true => SessionEnd::BeginsAnew,
                    false => SessionEnd::GoesOn,
                };
                broker.end_session(before.session, end).await;
            }
            Ok(owned)
        }
        .boxed()
    }

    fn given_up(&self, session: OwnSession) {
        if let Some(directory) = self.directory.upgrade() {
            directory.own_row(self.at, &session, |_| false);
        }
    }

    fn disconnected(&self, session: OwnSession) {
        if let Some(directory) = self.directory.upgrade() {
            directory.own_row(self.at, &session, |row| {
                row.is_connected = false;
                true
            });
        }
    }

    fn will_waits(&self, session: OwnSession) {
        self.will(session, |wills, client_id| {
            let will = wills.get_mut(client_id);
            will.expect("it is there until it is settled").waits = true;
        });
    }

    fn will_settled(&self, session: OwnSession) {
        self.will(session, |wills, client_id| {
            wills.remove(client_id);
        });
    }

    fn claim_will(&self, session: OwnSession) -> BoxFuture<'static, bool> {
        let desk = Self {
            directory: self.directory.clone(),
            at: self.at,
        };
        async move {
            while desk.directory().is_down.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            let mut is_there = false;
            desk.will(session, |wills, client_id| {
                is_there = wills.remove(client_id).is_some();
            });
            is_there
        }
        .boxed()
    }
}
