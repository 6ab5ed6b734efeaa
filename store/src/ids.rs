//! Ids and numbers that are more than text and integers.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::Timestamp;

/// Sorts after every id that is made here.
pub(crate) const AFTER_ALL: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/// Declares an id: opaque text, made here as a UUIDv7 (RFC 9562), so that ids sort by age.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes an id that no other is equal to and that sorts after those made before.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "each call makes another id")]
            pub fn new() -> Self {
                Self(Uuid::now_v7().to_string().into())
            }

            /// Takes `text` as an id. Every text is one; most of them belong to nothing. One with NUL, for which not every
            /// database can be asked, is taken as the empty one, which belongs to nothing.
            #[must_use]
            pub fn from_string(text: impl Into<Arc<str>>) -> Self {
                let text = text.into();
                Self(if text.contains('\0') { "".into() } else { text })
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

id! {
    /// The id of an account. Unlike the username it says nothing about its owner. A clone shares
    /// the text.
    UserId
}
id! {
    /// The id of a message. Later messages have greater ids. A clone shares the text.
    MessageId
}
id! {
    /// The id of an access token; not its secret. Later tokens have greater ids. A clone shares
    /// the text.
    TokenId
}
id! {
    /// The id of a browser's session; not its secret. Later sessions have greater ids. A clone shares the text.
    SessionId
}
id! {
    /// The id of an entry of the audit. Later entries have greater ids. A clone shares the text.
    AuditId
}
id! {
    /// The id of a server among those that share a database: another one at each start. Later ones have greater ids. A clone
    /// shares the text.
    NodeId
}
id! {
    /// The id of a process that has a database open: that of its node changes when it joins the others anew. A clone shares the
    /// text.
    ProcessId
}
id! {
    /// The id of an access rule. Rules that were there from the start have names instead, such as
    /// `builtin-inbox`. A clone shares the text.
    RuleId
}

impl AuditId {
    /// Sorts behind all that were made before `at`, and before all that were made later.
    pub(crate) fn first_at(at: Timestamp) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        // The first 48 bits are the time (RFC 9562, section 5.7).
        let first = Uuid::from_u64_pair(millis << 16, 0);
        Self::from_string(first.to_string())
    }
}

/// The number of a notification in its owner's inbox: 1, 2, 3... without gaps. 0 stands before the
/// first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Seq(pub i64);

impl Seq {
    /// Before the first notification.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age() {
        let ids: Vec<_> = (0..1000).map(|_| MessageId::new()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_first_id_of_a_time_sorts_between_those_before_and_after() {
        let (before, now) = (AuditId::new(), Timestamp::now());
        let hour = std::time::Duration::from_secs(3600);
        assert!(AuditId::first_at(now + hour) > before);
        assert!(AuditId::first_at(Timestamp::from_millis(now.as_millis() - 1000)) < before);
        assert!(AuditId::first_at(Timestamp::from_millis(-1)) < before);
    }

    #[test]
    fn an_id_is_its_text() {
        let id = UserId::new();
        assert_eq!(UserId::from_string(id.to_string()), id);
        assert_eq!(UserId::from_string("a\0").as_str(), "");
    }
}
