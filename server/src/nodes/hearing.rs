//! Reads what the other servers tell, and hands it on.

use futures_util::FutureExt as _;
use herald_store::{Looks, NodeFrames, Received};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::counters::CountersOfOthers;
use super::inboxes::RemoteInboxes;
use super::message::NodeMessage;
use super::retained::Followed;

/// Hands on what comes until stopped.
pub(crate) async fn hear_others(
    mut frames: NodeFrames,
    mut inboxes: RemoteInboxes,
    retained: Followed,
    counters: CountersOfOthers,
    stop: CancellationToken,
) {
    let hearing = async {
        let mut looks = Looks::since(now());
        loop {
            let mut missed = false;
            tokio::select! {
                () = sleep_until(looks.next().into()) => {
                    if looks.begin(now(), frames.is_alone()) {
                        missed = !inboxes.look().await;
                    }
                }
                () = inboxes.tell() => {}
                first = frames.next() => {
                    // All that has come by now.
                    let mut next = Some(first);
                    let mut hints = vec![];
                    while let Some(received) = next {
                        match received {
                            Received::Missed => missed = true,
                            Received::Frame { from, frame } => match NodeMessage::parse(&frame) {
                                Some(NodeMessage::Counters { counters: all }) => counters.heard(from, all),
                                other => hints.extend(other),
                            },
                        }
                        let is_full = hints.len() >= NodeFrames::TOGETHER;
                        next = (!is_full).then(|| frames.next().now_or_never()).flatten();
                    }
                    if missed || hints.contains(&NodeMessage::Retained) {
                        retained.look();
                    }
                    missed |= !inboxes.hear(hints).await;
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
