//! The live connections of all listeners together, and how many there may be.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use herald_api::network;
use parking_lot::Mutex;

/// The least time between two lines of the log about connections that were refused.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Of so many connections one is for those who have signed in alone.
const SHARE_OF_USERS: usize = 5;

/// Counts connections, in all and by address.
pub(crate) struct Connections {
    in_all: usize,
    per_address: usize,
    live: Mutex<Live>,
    refusals: Mutex<Refusals>,
}

#[derive(Default)]
struct Live {
    in_all: usize,
    /// Those by which nobody has signed in yet.
    anonymous: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The bound that a connection would have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Full {
    #[error("limits.connections")]
    InAll,
    #[error("limits.connections, of which a fifth is for those who have signed in")]
    Anonymous,
    #[error("limits.connections_per_address")]
    OfAddress,
}

#[derive(Default)]
struct Refusals {
    total: u64,
    logged: u64,
    last_line: Option<Instant>,
}

/// Counts a connection until dropped.
pub(crate) struct Counted {
    connections: Arc<Connections>,
    ip: IpAddr,
    signed_in: AtomicBool,
}

/// A connection that somebody may sign in by.
#[derive(Clone, Default)]
pub(crate) struct SignIn(Weak<Counted>);

impl SignIn {
    /// Of the connection that `counted` counts.
    pub(crate) fn of(counted: &Arc<Counted>) -> Self {
        Self(Arc::downgrade(counted))
    }

    /// Somebody has: the connection is no anonymous one from now on.
    pub(crate) fn done(&self) {
        let Some(counted) = self.0.upgrade() else {
            return;
        };
        let mut live = counted.connections.live.lock();
        if !counted.signed_in.swap(true, Ordering::Relaxed) {
            live.anonymous -= 1;
        }
    }

    /// Whether somebody has.
    pub(crate) fn is_done(&self) -> bool {
        let counted = self.0.upgrade();
        counted.is_some_and(|counted| counted.signed_in.load(Ordering::Relaxed))
    }
}

impl Connections {
    /// Room for `in_all` connections, of which an address may have `per_address`.
    pub(crate) fn new(in_all: usize, per_address: usize) -> Self {
        Self {
            in_all,
            per_address,
            live: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    /// Counts a connection from `ip`. `None` if there is no room for it, which is counted and logged.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Counted> {
        match self.try_enter(ip) {
            Ok(counted) => Some(counted),
            Err(limit) => {
                if let Some(refused) = self.refusals.lock().add(Instant::now()) {
                    tracing::warn!(%ip, %limit, refused, "too many connections; the new ones are closed");
                }
                None
            }
        }
    }

    /// How many connections have been refused since start.
    pub(crate) fn refused(&self) -> u64 {
        self.refusals.lock().total
    }

    fn try_enter(self: &Arc<Self>, ip: IpAddr) -> Result<Counted, Full> {
        let ip = network(ip);
        let mut live = self.live.lock();
        if live.in_all >= self.in_all {
            return Err(Full::InAll);
        }
        if live.by_address.get(&ip).copied().unwrap_or(0) >= self.per_address {
            return Err(Full::OfAddress);
        }
        if live.anonymous >= self.in_all - self.in_all / SHARE_OF_USERS {
            return Err(Full::Anonymous);
        }
        live.in_all += 1;
        live.anonymous += 1;
        *live.by_address.entry(ip).or_default() += 1;
        Ok(Counted {
            connections: self.clone(),
            ip,
            signed_in: AtomicBool::new(false),
        })
    }
}

impl Refusals {
    /// Counts one at `now`. Returns how many there were since the last line if it is time for another.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.total += 1;
        let due = self
            .last_line
            .is_none_or(|last| now.duration_since(last) >= LINE_EVERY);
        due.then(|| {
            self.last_line = Some(now);
            self.total - std::mem::replace(&mut self.logged, self.total)
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut live = self.connections.live.lock();
        live.in_all -= 1;
        live.anonymous -= usize::from(!*self.signed_in.get_mut());
        if let Some(count) = live.by_address.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                live.by_address.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    #[test]
    fn an_address_gets_its_room_back_when_a_connection_ends() {
        let connections = Arc::new(Connections::new(10, 1));
        let first = connections.try_enter(ip(1)).ok();
        assert!(first.is_some());
        assert_eq!(connections.try_enter(ip(1)).err(), Some(Full::OfAddress));
        assert!(connections.try_enter(ip(2)).is_ok());
        drop(first);
        assert!(connections.try_enter(ip(1)).is_ok());
    }

    #[test]
    fn addresses_share_the_room_in_all() {
        let connections = Arc::new(Connections::new(2, 2));
        let (first, _second) = (connections.enter(ip(1)), connections.enter(ip(2)));
        assert_eq!(connections.try_enter(ip(3)).err(), Some(Full::InAll));
        assert!(connections.enter(ip(3)).is_none());
        assert_eq!(connections.refused(), 1);
        drop(first);
        assert!(connections.enter(ip(3)).is_some());
    }

    #[test]
    fn a_share_of_the_room_is_for_those_who_have_signed_in() {
        let connections = Arc::new(Connections::new(10, 10));
        let mut anonymous: Vec<_> = (0..8)
            .map(|last| Arc::new(connections.try_enter(ip(last)).ok().unwrap()))
            .collect();
        assert_eq!(connections.try_enter(ip(9)).err(), Some(Full::Anonymous));
        // Who signs in makes room for others to do so, until there is none at all.
        for counted in &anonymous {
            let sign_in = SignIn::of(counted);
            assert!(!sign_in.is_done());
            sign_in.done();
            sign_in.done();
            assert!(sign_in.is_done());
        }
        for last in [9, 10] {
            anonymous.push(Arc::new(connections.try_enter(ip(last)).ok().unwrap()));
        }
        assert_eq!(connections.try_enter(ip(11)).err(), Some(Full::InAll));
        drop(anonymous);
        let live = connections.live.lock();
        assert_eq!((live.in_all, live.anonymous), (0, 0));
    }

    #[test]
    fn an_ipv6_network_of_one_client_is_one_address() {
        let connections = Arc::new(Connections::new(10, 1));
        let enter = |address: &str| connections.try_enter(address.parse().unwrap());
        let _first = enter("2001:db8::1").ok().unwrap();
        assert_eq!(enter("2001:db8::ffff:1").err(), Some(Full::OfAddress));
        assert!(enter("2001:db8:0:1::1").is_ok());
    }

    #[test]
    fn an_address_in_the_form_of_ipv6_is_the_same_address() {
        let connections = Arc::new(Connections::new(2, 1));
        let _first = connections.enter(ip(1));
        assert!(
            connections
                .enter("::ffff:127.0.0.1".parse().unwrap())
                .is_none()
        );
    }

    #[test]
    fn nothing_is_kept_of_connections_that_have_ended() {
        let connections = Arc::new(Connections::new(10, 10));
        drop([1, 1, 2].map(|last| connections.enter(ip(last))));
        let live = connections.live.lock();
        assert_eq!((live.in_all, live.by_address.len()), (0, 0));
    }

    #[test]
    fn refusals_are_logged_once_a_second_and_all_counted() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let lines = [0, 1, 999, 1000, 1500, 3000].map(|ms| refusals.add(at(ms)));
        assert_eq!(lines, [Some(1), None, None, Some(3), None, Some(2)]);
        assert_eq!(refusals.total, 6);
    }
}
