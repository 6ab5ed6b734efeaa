//! Reads what the other servers tell, and hands it on.

use std::sync::Arc;

use futures_util::FutureExt as _;
use herald_store::{Looks, NodeFrames, NodeId, Received};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::counters::CountersOfOthers;
use super::inboxes::RemoteInboxes;
use super::message::NodeMessage;
use super::retained::Followed;
use super::sessions::SharedSessions;

/// Who is told what comes from others.
pub(crate) struct Hearers {
    pub(crate) inboxes: RemoteInboxes,
    pub(crate) retained: Followed,
    pub(crate) counters: CountersOfOthers,
    /// Looks for changes of rights.
    pub(crate) rights: Arc<Notify>,
    pub(crate) sessions: Option<Arc<SharedSessions>>,
}

impl Hearers {
    /// Hands a message on, or returns it if it is for the inboxes, which take many together.
    fn hear(&self, from: NodeId, message: NodeMessage) -> Option<NodeMessage> {
        match message {
            NodeMessage::Retained => self.retained.look(),
            NodeMessage::Rights => self.rights.notify_one(),
            NodeMessage::Counters { counters } => self.counters.heard(from, counters),
            NodeMessage::SessionEnds { process } => {
                if let Some(sessions) = &self.sessions {
                    sessions.look_for_orders(&process);
                }
            }
            NodeMessage::Finished { .. }
            | NodeMessage::Unclear { .. }
            | NodeMessage::Skipped { .. } => return Some(message),
            NodeMessage::Unknown => {}
        }
        None
    }
}

/// Hands on what comes until stopped.
pub(crate) async fn hear_others(
    mut frames: NodeFrames,
    mut hearers: Hearers,
    stop: CancellationToken,
) {
    let hearing = async {
        let mut looks = Looks::since(now());
        loop {
            let mut missed = false;
            tokio::select! {
                () = sleep_until(looks.next().into()) => {
                    if looks.begin(now(), frames.is_alone()) {
                        missed = !hearers.inboxes.look().await;
                    }
                }
                () = hearers.inboxes.tell() => {}
                first = frames.next() => {
                    // All that has come by now.
                    let mut next = Some(first);
                    let mut hints = vec![];
                    while let Some(received) = next {
                        match received {
                            Received::Missed => missed = true,
                            Received::Frame { from, frame } => {
                                let message = NodeMessage::parse(&frame);
                                hints.extend(message.and_then(|message| hearers.hear(from, message)));
                            }
                        }
                        let is_full = hints.len() >= NodeFrames::TOGETHER;
                        next = (!is_full).then(|| frames.next().now_or_never()).flatten();
                    }
                    if missed {
                        hearers.retained.look();
                    }
                    missed |= !hearers.inboxes.hear(hints).await;
                }
            }
            if missed {
                looks.miss(now());
            }
        }
    };
    stop.run_until_cancelled(hearing).await;
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
