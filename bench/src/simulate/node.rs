//! A node: what it sends and hears, and whose inboxes it has looked at.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Instant,
};

use herald_store::{Looks, NodeFrames, NodeId, Received, UnconnectedChannel};

/// A user's number.
pub(super) type User = u32;

/// Of one user, the number of a notification.
pub(super) type Number = (User, u32);

/// A node.
pub(super) struct Node {
    pub(super) channel: UnconnectedChannel,
    pub(super) looks: Looks,
    /// It runs.
    pub(super) is_up: bool,
    /// It has a connection on which it hears others.
    pub(super) is_listening: bool,
    /// Who is connected here, as far as it was not noticed that they are not any more.
    pub(super) online: Vec<User>,
    /// Until when it waits for the database: with what it hears, and with what it sends.
    pub(super) hears_at: u64,
    pub(super) sends_at: u64,
    /// Whether an event for that is under way.
    pub(super) will_hear: bool,
    pub(super) will_send: bool,
    pub(super) will_tell: bool,
    /// Until when others hold it to be there.
    pub(super) lease_until: u64,
    /// When the last look began.
    pub(super) looked_at: Option<u64>,
    /// What the sessions of each user were told after looks.
    pub(super) known: HashMap<User, u32>,
    /// Who is still to be told.
    pub(super) behind: VecDeque<Number>,
    /// How often it was started: events of an earlier time are not its own.
    pub(super) life: u32,
    /// The second of the last hints, and how many were read in it.
    pub(super) hints: (usize, u64),
    /// Those of users who are connected here.
    pub(super) heard: HashSet<Number>,
}

/// What was heard at once.
pub(super) struct Heard {
    pub(super) missed: bool,
    pub(super) hints: Vec<Number>,
}

impl Node {
    /// One that has just started.
    pub(super) fn start(now: Instant, place: usize, life: u32) -> Self {
        Self {
            channel: UnconnectedChannel::of(NodeId::from_string(format!("{place:018}{life:018}"))),
            looks: Looks::since(now),
            is_up: true,
            is_listening: true,
            online: vec![],
            hears_at: 0,
            sends_at: 0,
            will_hear: false,
            will_send: false,
            will_tell: false,
            lease_until: 0,
            looked_at: None,
            known: HashMap::new(),
            behind: VecDeque::new(),
            life,
            hints: (0, 0),
            heard: HashSet::new(),
        }
    }

    /// Tells the others of this notification.
    pub(super) fn tell(&self, (user, number): Number) {
        // As long as what the server writes.
        self.channel.send(format!(
            r#"{{"kind":"finished","user_id":"00000000-0000-7000-8000-{user:012}","username":"user{user:08}","seq":{number}}}"#
        ));
    }

    /// Takes what has come, as much as is handled together.
    pub(super) fn hear(&self) -> Heard {
        let mut heard = Heard {
            missed: false,
            hints: vec![],
        };
        while heard.hints.len() < NodeFrames::TOGETHER {
            match self.channel.received() {
                Some(Received::Missed) => heard.missed = true,
                Some(Received::Frame { frame, .. }) => heard.hints.extend(parse(&frame)),
                None => break,
            }
        }
        heard
    }
}

fn parse(frame: &str) -> Option<Number> {
    let (_, rest) = frame.split_once("\"username\":\"user")?;
    let (user, rest) = rest.split_once("\",\"seq\":")?;
    Some((user.parse().ok()?, rest.strip_suffix('}')?.parse().ok()?))
}
