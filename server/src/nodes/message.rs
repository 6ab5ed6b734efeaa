//! What servers that share a database tell each other.

use std::collections::HashMap;

use herald_acl::Username;
use herald_store::{NodeChannel, ProcessId, Seq, UserId};
use serde::{Deserialize, Serialize};

/// What one server tells the others, which may be lost. It says where to look: what has happened is in the database by then. Only
/// counters are nowhere else, and told again and again.
///
/// Servers of several versions may share a database for a while: one that does not know a kind leaves it out, and fields that it
/// does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum NodeMessage {
    /// A notification was written.
    Finished {
        /// Whose: the name may come to be another user's.
        user_id: String,
        username: String,
        /// Its number.
        seq: i64,
    },
    /// A notification may have been written.
    Unclear { username: String },
    /// Retained messages were saved.
    Retained,
    /// A client is to leave out notifications: its cursor was moved.
    Skipped {
        user_id: String,
        username: String,
        client_id: String,
        /// The last one of them.
        up_to: i64,
    },
    /// Rights were changed.
    Rights,
    /// This process has to end sessions that another one is to have.
    SessionEnds { process: String },
    /// What the sender counts, by name.
    Counters { counters: HashMap<String, u64> },
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

impl NodeMessage {
    /// What a frame says; `None` if it is none of these.
    pub(super) fn parse(frame: &str) -> Option<Self> {
        serde_json::from_str(frame).ok()
    }

    /// What says this.
    fn frame(&self) -> String {
        match serde_json::to_string(self) {
            Ok(json) => json,
            Err(_) => unreachable!("strings and numbers can always be written as JSON"),
        }
    }
}

/// Tells the other servers, if there can be any.
#[derive(Debug, Clone)]
pub(crate) struct TellNodes(pub(crate) Option<NodeChannel>);

impl TellNodes {
    /// The notification `seq` of this user was written.
    pub(crate) fn finished(&self, user_id: &UserId, username: &Username, seq: Seq) {
        self.tell(|| NodeMessage::Finished {
            user_id: user_id.as_str().to_owned(),
            username: username.as_str().to_owned(),
            seq: seq.0,
        });
    }

    /// A notification of this user may have been written.
    pub(crate) fn unclear(&self, username: &Username) {
        self.tell(|| NodeMessage::Unclear {
            username: username.as_str().to_owned(),
        });
    }

    /// Retained messages were saved.
    pub(crate) fn retained(&self) {
        self.tell(|| NodeMessage::Retained);
    }

    /// The user's client is to leave out the notifications up to `up_to`.
    pub(super) fn skipped(
        &self,
        user_id: &UserId,
        username: &Username,
        client_id: &str,
        up_to: Seq,
    ) {
        self.tell(|| NodeMessage::Skipped {
            user_id: user_id.as_str().to_owned(),
            username: username.as_str().to_owned(),
            client_id: client_id.to_owned(),
            up_to: up_to.0,
        });
    }

    /// Rights were changed.
    pub(super) fn rights(&self) {
        self.tell(|| NodeMessage::Rights);
    }

    /// Each of these has sessions to end.
    pub(super) fn session_ends(&self, processes: &[ProcessId]) {
        for process in processes {
            self.tell(|| NodeMessage::SessionEnds {
                process: process.as_str().to_owned(),
            });
        }
    }

    /// What is counted here.
    pub(super) fn counters(&self, counters: &[(&str, u64)]) {
        self.tell(|| NodeMessage::Counters {
            counters: counters
                .iter()
                .map(|(name, n)| ((*name).to_owned(), *n))
                .collect(),
        });
    }

    /// Tells soon, without waiting.
    fn tell(&self, message: impl FnOnce() -> NodeMessage) {
        if let Some(channel) = &self.0 {
            channel.send(|| message().frame());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let messages = [
            NodeMessage::Finished {
                user_id: "0190".into(),
                username: "x".repeat(64),
                seq: i64::MAX,
            },
            NodeMessage::Unclear {
                username: "alice".into(),
            },
            NodeMessage::Retained,
            NodeMessage::Rights,
            NodeMessage::SessionEnds {
                process: "0190".into(),
            },
            NodeMessage::Skipped {
                user_id: "0190".into(),
                username: "alice".into(),
                client_id: "phone \u{1F4F1}".into(),
                up_to: 7,
            },
        ];
        for message in messages {
            let frame = message.frame();
            assert!(frame.len() < 250, "many of them are told at once");
            assert_eq!(NodeMessage::parse(&frame), Some(message));
        }
    }

    /// A change here is one that servers of two versions have to bear.
    #[test]
    fn what_other_versions_tell_is_understood_as_far_as_it_is_known() {
        let finished = NodeMessage::Finished {
            user_id: "1".into(),
            username: "alice".into(),
            seq: 7,
        };
        for (frame, meaning) in [
            (
                r#"{"kind":"finished","user_id":"1","username":"alice","seq":7,"new":[]}"#,
                Some(finished),
            ),
            (r#"{"kind":"new","user_id":1}"#, Some(NodeMessage::Unknown)),
            (r#"{"kind":"finished"}"#, None),
            ("", None),
            ("[]", None),
        ] {
            assert_eq!(NodeMessage::parse(frame), meaning, "{frame}");
        }
    }
}
