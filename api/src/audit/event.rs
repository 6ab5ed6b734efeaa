//! One thing that the audit records.

use std::net::IpAddr;

use herald_acl::Username;
use herald_store::{AuditEntry, Timestamp};

use super::AuditAction;
use crate::accounts::TOKEN_PREFIX;

/// The longest target and detail, in characters: clients have a say in what is in there.
const MAX_CHARS: usize = 300;

/// Something that was done, or tried. None of its parts may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    pub(super) action: AuditAction,
    pub(super) actor: Option<Username>,
    pub(super) address: Option<IpAddr>,
    pub(super) request_id: Option<String>,
    pub(super) target: Option<String>,
    pub(super) detail: Option<String>,
}

impl Event {
    /// An event without actor, address and request, as on the command line.
    #[must_use]
    pub fn new(action: AuditAction) -> Self {
        Self {
            action,
            actor: None,
            address: None,
            request_id: None,
            target: None,
            detail: None,
        }
    }

    /// Done by this user.
    #[must_use]
    pub fn by(self, actor: &Username) -> Self {
        Self {
            actor: Some(actor.clone()),
            ..self
        }
    }

    /// It came from this address.
    #[must_use]
    pub fn from(self, address: IpAddr) -> Self {
        Self {
            address: Some(address.to_canonical()),
            ..self
        }
    }

    pub(crate) fn in_request(self, request_id: Option<String>) -> Self {
        Self { request_id, ..self }
    }

    /// It was done to this: a username, an id, a topic.
    #[must_use]
    pub fn to(self, target: impl AsRef<str>) -> Self {
        Self {
            target: Some(cut(target.as_ref())),
            ..self
        }
    }

    /// What else there is to say.
    #[must_use]
    pub fn detail(self, detail: impl AsRef<str>) -> Self {
        Self {
            detail: Some(cut(detail.as_ref())),
            ..self
        }
    }

    /// As it is recorded.
    #[must_use]
    pub fn entry(self) -> AuditEntry {
        self.at(Timestamp::now())
    }

    pub(super) fn at(self, at: Timestamp) -> AuditEntry {
        AuditEntry {
            at,
            action: self.action.word().into(),
            actor: self.actor.map(|actor| actor.to_string()),
            target: self.target,
            address: self.address.map(|address| address.to_string()),
            request_id: self.request_id,
            detail: self.detail,
            count: 1,
        }
    }
}

/// What a client wrote may be 64 KiB long, and comes a thousand times a second: no more than the start is looked at.
fn cut(text: &str) -> String {
    let looked_at = text.char_indices().nth(2 * MAX_CHARS);
    let start = &text[..looked_at.map_or(text.len(), |(at, _)| at)];
    without_tokens(start).chars().take(MAX_CHARS).collect()
}

/// `text` with access tokens made unreadable: somebody may have put one where an id or a topic belongs.
#[must_use]
pub fn without_tokens(text: &str) -> String {
    let mut parts = text.split(TOKEN_PREFIX);
    let mut safe = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_secret = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        safe.push_str(TOKEN_PREFIX);
        safe.push_str("...");
        safe.push_str(part.trim_start_matches(is_secret));
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_wrong_place_is_masked() {
        for (text, told) in [
            ("GET /tokens/hrld_aB-_9/x", "GET /tokens/hrld_.../x"),
            ("hrld_ahrld_b hrld_", "hrld_...hrld_... hrld_..."),
            ("users/alice", "users/alice"),
        ] {
            assert_eq!(cut(text), told);
        }
    }
}
