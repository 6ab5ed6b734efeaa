//! The rules of a new installation.

use crate::policy::Policy;
use crate::role::Role;
use crate::rule::{Actions, Effect, Rule, Subject};
use crate::template::FilterTemplate;

impl Policy {
    /// The policy of a new installation: all users read their own inbox, the broadcasts and the
    /// responses to them, and send messages of their own; admins also announce, respond and read
    /// everything.
    #[must_use]
    pub fn builtin() -> Self {
        Self::new(Self::builtin_rules())
    }

    /// The rules of [`Policy::builtin`].
    #[must_use]
    pub fn builtin_rules() -> Vec<Rule> {
        let admin = Subject::Role(Role::Admin);
        let everyone = Subject::Everyone;
        vec![
            allow("builtin-inbox", &everyone, Actions::Subscribe, "users/%u/#"),
            allow(
                "builtin-send",
                &everyone,
                Actions::Publish,
                "users/%u/messages",
            ),
            allow(
                "builtin-broadcast",
                &everyone,
                Actions::Subscribe,
                "broadcast/#",
            ),
            allow(
                "builtin-responses",
                &everyone,
                Actions::Subscribe,
                "responses/%u/#",
            ),
            allow("builtin-announce", &admin, Actions::Publish, "broadcast/#"),
            allow("builtin-respond", &admin, Actions::Publish, "responses/#"),
            allow("builtin-debug", &admin, Actions::Subscribe, "#"),
            allow("builtin-sys", &admin, Actions::Subscribe, "$SYS/#"),
        ]
    }
}

/// An allow rule of the built-in policy.
fn allow(id: &str, subject: &Subject, actions: Actions, filter: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        subject: subject.clone(),
        actions,
        effect: Effect::Allow,
        filter: FilterTemplate::parse(filter).expect("the built-in filters are valid: tests"),
    }
}
