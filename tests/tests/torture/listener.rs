//! Clients that listen, acknowledge late, lose their connection and come back.

use std::{collections::VecDeque, sync::Arc};

use herald_tests::{
    Version,
    raw::{Link, Lost, Packet, Publish},
};
use rand::{Rng as _, rngs::StdRng};

use crate::{
    user::User,
    world::{Phase, World},
};

/// Notifications that a client may leave unacknowledged.
const LAG: usize = 8;

/// Notifications after which a client cuts its connection.
const PATIENCE: u32 = 200;

/// One client that listens.
pub(crate) struct Listener {
    pub(crate) world: Arc<World>,
    pub(crate) user: Arc<User>,
    pub(crate) version: Version,
    /// Whether its session outlives the connection.
    pub(crate) kept: bool,
    /// With such a session: up to where this client has acknowledged, once it has heard anything. It goes on behind that,
    /// whatever other clients of the user acknowledge.
    pub(crate) place: Option<i64>,
    pub(crate) chance: StdRng,
}

/// A connection of such a client.
struct Listening {
    link: Link,
    session_present: bool,
    /// The number of the last notification.
    last: Option<i64>,
    /// Packet identifiers and numbers.
    unacknowledged: VecDeque<(u16, i64)>,
    lag: usize,
}

impl Listener {
    /// Listens, on one connection after the other, until it is over.
    pub(crate) async fn run(mut self) {
        let world = Arc::clone(&self.world);
        tokio::select! {
            () = world.reached(Phase::Over) => {}
            () = async {
                loop {
                    let _lost: Result<(), Lost> = self.listen().await;
                    self.world.pause().await;
                }
            } => {}
        }
    }

    /// One connection.
    async fn listen(&mut self) -> Result<(), Lost> {
        let kind = if self.kept { "kept" } else { "clean" };
        let id = format!("{}-{kind}", self.user.name);
        let connect = self.user.connect(&id, self.kept);
        let (link, connack) = Link::connect(&self.world.mqtt, self.version, &connect).await?;
        if connack.code != 0 {
            check_refusal(self.version, connack.code);
            return Err(Lost);
        }
        let mut listening = Listening {
            link,
            session_present: connack.session_present,
            last: None,
            unacknowledged: VecDeque::new(),
            lag: self.chance.random_range(0..=LAG),
        };
        if !connack.session_present {
            let inbox = format!("users/{}/notifications", self.user.name);
            listening.link.subscribe(1, &inbox).await?;
        }
        let mut left = self.chance.random_range(1..=PATIENCE);
        while left > 0 {
            match listening.link.packet().await? {
                Packet::Suback { codes, .. } => assert_eq!(codes, [1]),
                Packet::Publish(publish) => {
                    self.take(&mut listening, &publish).await?;
                    left -= 1;
                }
                Packet::Disconnect { .. } => return Err(Lost),
                other => panic!("PUBLISH expected: {other:?}"),
            }
        }
        Ok(())
    }

    /// Takes a notification, which must be the next one.
    async fn take(&mut self, listening: &mut Listening, publish: &Publish) -> Result<(), Lost> {
        let seq = self.user.heard(publish);
        match listening.last.replace(seq) {
            Some(last) => assert_eq!(seq, last + 1, "{} after {last}", self.user.name),
            // Nobody has acknowledged what would be left out, or this client has not.
            None => {
                let place = self.place.unwrap_or_else(|| self.user.acknowledged());
                assert!(seq <= place + 1, "{} begins at {seq}", self.user.name);
            }
        }
        if self.kept && self.place.is_none() {
            self.place = Some(seq - 1);
        }
        assert!(
            listening.session_present || !publish.dup,
            "DUP in a new session"
        );
        self.world.event();
        let id = publish.id.expect("QoS 1 has one");
        listening.unacknowledged.push_back((id, seq));
        while listening.unacknowledged.len() > listening.lag {
            let (id, seq) = listening.unacknowledged[0];
            self.user.acknowledging(seq);
            self.place = self.place.map(|place| place.max(seq));
            listening.link.acknowledge(id).await?;
            listening.unacknowledged.pop_front();
        }
        Ok(())
    }
}

/// A client may be refused while another connection of it is being ended, or while the server stops or is overloaded.
/// Panics if it is refused for good.
pub(crate) fn check_refusal(version: Version, code: u8) {
    let passing: &[u8] = match version {
        Version::V311 => &[0x03],
        Version::V5 => &[0x80, 0x88, 0x89, 0x97],
    };
    assert!(passing.contains(&code), "CONNACK {code:#x}");
}
