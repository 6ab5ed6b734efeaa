//! What may happen, as it is drawn at random.

use herald_store::Status;
use proptest::prelude::*;
use proptest::sample::Index;

/// How many users there are.
pub(crate) const USERS: usize = 3;

/// How long a lease lasts, in milliseconds.
pub(crate) const LEASE_MS: i64 = 100;

/// What may happen. Which of all messages or claims so far is meant, an index says.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Sends that arrive together.
    Send(Vec<Send>),
    /// The delay of one user, or of all who have none of their own, in milliseconds; none for a user is that of all.
    Delay {
        user: Option<usize>,
        ms: Option<u64>,
        apply_to_queued: bool,
    },
    Claim {
        limit: u32,
    },
    Renew {
        claim: Index,
    },
    /// Ends that arrive together: of which claim, and whether it was processed.
    Finish(Vec<(Index, bool)>),
    /// An attempt fails and is to be repeated so many milliseconds later.
    Fail {
        claim: Index,
        pause: i64,
    },
    /// A user cancels or deletes a message, whatever its status or only with one.
    Remove {
        user: usize,
        message: Index,
        only: Option<Status>,
    },
    /// An administrator retries a dead message.
    Retry {
        message: Index,
    },
    Pause,
    Resume,
    /// A session that is kept subscribes: its client id gets a cursor.
    Subscribe {
        user: usize,
        client: usize,
    },
    /// A SUBSCRIBE with `after`.
    GoTo {
        user: usize,
        client: usize,
        seq: i64,
    },
    /// Acknowledgements of kept sessions, and, without a client id, of clean ones or over HTTP.
    Acknowledge(Vec<Ack>),
    /// Time passes, in milliseconds.
    Pass(i64),
    /// What is older than so many milliseconds is pruned.
    Prune(i64),
    /// The process dies, and another opens what it left.
    Crash {
        release: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Send {
    pub(crate) user: usize,
    pub(crate) body: String,
    pub(crate) key: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Ack {
    pub(crate) user: usize,
    pub(crate) client: Option<usize>,
    pub(crate) up_to: i64,
}

impl Action {
    /// Any of them, those that move messages on more often than others.
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let user = || 0..USERS;
        let client = || 0..2_usize;
        let delay = prop_oneof![Just(0), 1..200_u64];
        prop_oneof![
            8 => prop::collection::vec(Send::any(), 1..5).prop_map(Self::Send),
            2 => (prop::option::of(user()), prop::option::of(delay), any::<bool>()).prop_map(
                |(user, ms, apply_to_queued)| Self::Delay { user, ms, apply_to_queued }
            ),
            8 => (0..6_u32).prop_map(|limit| Self::Claim { limit }),
            2 => any::<Index>().prop_map(|claim| Self::Renew { claim }),
            8 => prop::collection::vec(any::<(Index, bool)>(), 1..4).prop_map(Self::Finish),
            3 => (any::<Index>(), 0..300_i64).prop_map(|(claim, pause)| Self::Fail { claim, pause }),
            5 => (user(), any::<Index>(), prop::option::of(prop::sample::select(&Status::ALL)))
                .prop_map(|(user, message, only)| Self::Remove { user, message, only }),
            2 => any::<Index>().prop_map(|message| Self::Retry { message }),
            1 => Just(Self::Pause),
            2 => Just(Self::Resume),
            2 => (user(), client()).prop_map(|(user, client)| Self::Subscribe { user, client }),
            1 => (user(), client(), -1..12_i64)
                .prop_map(|(user, client, seq)| Self::GoTo { user, client, seq }),
            4 => prop::collection::vec(Ack::any(), 1..4).prop_map(Self::Acknowledge),
            4 => prop_oneof![3 => 0..LEASE_MS * 2, 1 => Just(86_400_000)].prop_map(Self::Pass),
            2 => prop_oneof![0..100_i64, Just(80_000_000)].prop_map(Self::Prune),
            1 => any::<bool>().prop_map(|release| Self::Crash { release }),
        ]
    }
}

impl Send {
    /// What it counts for when it is accepted.
    pub(crate) fn bytes(&self) -> usize {
        512 + self.body.len() + self.key.as_ref().map_or(0, String::len)
    }

    fn any() -> impl Strategy<Value = Self> {
        let key = prop::option::of(0..3_u8);
        (0..USERS, 0..2_u8, key).prop_map(|(user, body, key)| Self {
            user,
            body: format!("body {body}"),
            key: key.map(|key| format!("key {key}")),
        })
    }
}

impl Ack {
    fn any() -> impl Strategy<Value = Self> {
        let client = prop::option::of(0..2_usize);
        (0..USERS, client, -1..12_i64).prop_map(|(user, client, up_to)| Self {
            user,
            client,
            up_to,
        })
    }
}
