//! Reads what the other servers tell, and hands it on.

use std::time::Duration;

use futures_util::FutureExt as _;
use herald_store::{NodeFrames, Received};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::inboxes::RemoteInboxes;
use super::message::NodeMessage;
use super::retained::Followed;

/// How often it is looked for what nobody told, and how soon after something was missed or failed, at most.
const EVERY: Duration = Duration::from_secs(30);
const AT_MOST: Duration = Duration::from_secs(1);

/// How much is handed on together, at most.
const TOGETHER: usize = 1024;

/// Hands on what comes until stopped.
pub(crate) async fn hear_others(
    mut frames: NodeFrames,
    mut inboxes: RemoteInboxes,
    retained: Followed,
    stop: CancellationToken,
) {
    let hearing = async {
        let mut looked = Instant::now();
        let mut look = looked + EVERY;
        // Nobody else has written anything since.
        let (mut is_owed, mut was_alone) = (false, true);
        loop {
            let mut missed = false;
            tokio::select! {
                () = sleep_until(look) => {
                    looked = Instant::now();
                    look = looked + EVERY;
                    let is_alone = frames.is_alone();
                    if is_owed || !is_alone || !was_alone {
                        missed = !inboxes.look().await;
                    }
                    (is_owed, was_alone) = (false, is_alone);
                }
                first = frames.next() => {
                    // All that has come by now.
                    let mut next = Some(first);
                    let mut hints = vec![];
                    while let Some(received) = next {
                        match received {
                            Received::Missed => missed = true,
                            Received::Frame { frame, .. } => hints.extend(NodeMessage::parse(&frame)),
                        }
                        let is_full = hints.len() >= TOGETHER;
                        next = (!is_full).then(|| frames.next().now_or_never()).flatten();
                    }
                    if missed || hints.contains(&NodeMessage::Retained) {
                        retained.look();
                    }
                    missed |= !inboxes.hear(hints).await;
                }
            }
            if missed {
                is_owed = true;
                look = look.min(looked + AT_MOST).max(Instant::now());
            }
        }
    };
    stop.run_until_cancelled(hearing).await;
}
