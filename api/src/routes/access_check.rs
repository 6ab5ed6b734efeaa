//! What a user may do: the question, and what is decided.

use std::sync::Arc;

use herald_acl::{Denial, Policy, Principal, TOPIC_BYTES, TopicFilter, TopicName, parse_client_id};
use herald_store::{StoredRule, User};
use poem_openapi::{Enum, Object};

use crate::{
    error::ApiError,
    fields::{ClientId, NO_NUL, Name, described::described, example::example},
    views::rule::RuleView,
};

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Action {
    Publish,
    Subscribe,
}

described! {
    /// The topic to publish to, or the filter to subscribe to.
    Topic(String, "rooms/alice/#") {
        min_length: Some(1),
        max_length: Some(TOPIC_BYTES),
        pattern: Some(NO_NUL.to_owned()),
    }
}

/// What someone wants to do.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
pub(crate) struct Check {
    username: Name,
    action: Action,
    topic: Topic,
    /// What the client calls itself, at most 256 bytes; empty unless given.
    client_id: Option<ClientId>,
}

example!(Check {
    username,
    action: Action::Subscribe,
    topic,
    client_id: Some(ClientId::example()),
});

/// Why something is allowed, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum AccessReason {
    /// The rule says so.
    Rule,
    /// No rule allows it.
    NoRule,
    /// Nobody may publish there.
    Reserved,
    /// Only administrators receive what is another user's.
    NotAdministrator,
    /// Inboxes and `$SYS` cannot be shared.
    NotShareable,
    /// The filter has more than 1,024 bytes.
    FilterTooLong,
    /// The account is locked.
    Locked,
    /// The state of a bridge is taken from everyone, and dropped.
    BridgeState,
}

/// Whether it is allowed, and why.
#[derive(Object)]
#[oai(example)]
pub(crate) struct Checked {
    /// Whether it is allowed.
    allowed: bool,
    /// `rule`: as `rule` says. `bridge_state`: taken from everyone, and dropped. The others deny: `no_rule`: no rule allows
    /// it. `reserved`: nobody may publish there. `not_administrator`: it is another user's. `not_shareable`: inboxes and
    /// `$SYS` cannot be shared. `filter_too_long`: it has more than 1,024 bytes. `locked`: the account is.
    reason: AccessReason,
    /// The rule that decides. Null unless that is the reason.
    rule: Option<RuleView>,
}

example!(Checked {
    allowed: true,
    reason: AccessReason::Rule,
    rule: Some(RuleView::example()),
});

/// What was decided.
pub(crate) struct Verdict {
    allowed: bool,
    reason: AccessReason,
    /// The id of the rule that decided.
    rule: Option<Arc<str>>,
}

impl Check {
    /// Whom it is about.
    pub(crate) fn username(&self) -> &Name {
        &self.username
    }

    /// Decides for `user` under `rules`.
    ///
    /// # Errors
    ///
    /// The question makes no sense.
    pub(crate) fn verdict(&self, user: &User, rules: &[StoredRule]) -> Result<Verdict, ApiError> {
        let client_id = self.client_id.as_ref().map_or("", |id| &id.0);
        let client_id = parse_client_id(client_id)
            .map_err(|error| ApiError::invalid(format!("client_id: {error}")))?;
        let principal = Principal {
            username: &user.username,
            role: user.role,
            client_id,
        };
        let policy = Policy::new(rules.iter().map(|stored| stored.rule.clone()).collect());
        let invalid = |error| ApiError::invalid(format!("topic: {error}"));
        let decision = match self.action {
            Action::Publish => {
                let topic = TopicName::parse(&self.topic.0).map_err(invalid)?;
                policy.publish(&principal, &topic).map(|permit| permit.rule)
            }
            Action::Subscribe => {
                let filter = TopicFilter::parse(&self.topic.0).map_err(invalid)?;
                let permit = policy.subscribe(&principal, &filter);
                permit.map(|permit| Some(permit.rule))
            }
        };
        // A locked user never gets as far as the broker.
        Ok(if user.disabled {
            Verdict::because(false, AccessReason::Locked)
        } else {
            Verdict::from(decision)
        })
    }
}

impl Verdict {
    fn because(allowed: bool, reason: AccessReason) -> Self {
        Self {
            allowed,
            reason,
            rule: None,
        }
    }

    fn by(allowed: bool, rule: Arc<str>) -> Self {
        Self {
            allowed,
            reason: AccessReason::Rule,
            rule: Some(rule),
        }
    }
}

impl From<Result<Option<Arc<str>>, Denial>> for Verdict {
    fn from(decision: Result<Option<Arc<str>>, Denial>) -> Self {
        let denied = |reason| Self::because(false, reason);
        match decision {
            Ok(Some(rule)) => Self::by(true, rule),
            Ok(None) => Self::because(true, AccessReason::BridgeState),
            Err(Denial::Rule(rule)) => Self::by(false, rule),
            Err(Denial::NoRule) => denied(AccessReason::NoRule),
            Err(Denial::Reserved) => denied(AccessReason::Reserved),
            Err(Denial::NotAdministrator) => denied(AccessReason::NotAdministrator),
            Err(Denial::NotShareable) => denied(AccessReason::NotShareable),
            Err(Denial::FilterTooLong) => denied(AccessReason::FilterTooLong),
        }
    }
}

impl Checked {
    /// The answer; the rule that decided is one of `rules`.
    pub(crate) fn new(verdict: Verdict, rules: Vec<StoredRule>) -> Self {
        let decided = |stored: &StoredRule| Some(&*stored.rule.id) == verdict.rule.as_deref();
        Self {
            allowed: verdict.allowed,
            reason: verdict.reason,
            rule: rules.into_iter().find(decided).map(RuleView::from),
        }
    }
}
