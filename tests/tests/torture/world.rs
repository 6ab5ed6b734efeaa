//! What all clients of a run share.

use std::time::Duration;

use tokio::sync::watch;

use crate::user::User;

/// Pause of a client before it tries again.
const PAUSE: Duration = Duration::from_millis(5);

/// Messages of a user that may wait to be heard of before more are sent: enough to find them in every state, and not so many
/// that all the server does is to catch up.
const WAITING: usize = 50;

/// What the clients are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Send and listen.
    Storm,
    /// Have answered what is not answered yet, and listen.
    Calm,
    /// End.
    Over,
}

/// Where the server is, what to do, and how much was done.
pub(crate) struct World {
    pub(crate) mqtt: String,
    phase: watch::Sender<Phase>,
    events: watch::Sender<u64>,
}

impl World {
    pub(crate) fn new(mqtt: &str) -> Self {
        Self {
            mqtt: mqtt.into(),
            phase: watch::Sender::new(Phase::Storm),
            events: watch::Sender::new(0),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(crate) fn is_storm(&self) -> bool {
        *self.phase.borrow() == Phase::Storm
    }

    /// Waits until this phase.
    pub(crate) async fn reached(&self, phase: Phase) {
        let mut now = self.phase.subscribe();
        let reached = now.wait_for(|now| *now >= phase).await;
        reached.expect("the world has the sender");
    }

    /// A send was answered, or a notification has come.
    pub(crate) fn event(&self) {
        self.events.send_modify(|count| *count += 1);
    }

    /// Waits for so many more of them.
    pub(crate) async fn events(&self, more: u64) {
        let mut count = self.events.subscribe();
        let goal = *count.borrow() + more;
        let reached = count.wait_for(|count| *count >= goal).await;
        reached.expect("the world has the sender");
    }

    /// Waits until there is room for more messages of `user`, or the storm is over.
    pub(crate) async fn room(&self, user: &User) {
        let mut count = self.events.subscribe();
        let room = count.wait_for(|_| user.count_waiting() < WAITING);
        tokio::select! {
            room = room => drop(room.expect("the world has the sender")),
            () = self.reached(Phase::Calm) => {}
        }
    }

    /// What a client waits before it tries again, as any client does.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(PAUSE).await;
    }
}
