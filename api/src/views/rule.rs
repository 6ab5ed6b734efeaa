//! An access rule, as clients see one and write one.

use herald_acl::{Actions, Effect, FilterTemplate, Role, Subject, TOPIC_BYTES};
use herald_store::{RuleContent, StoredRule};
use poem_openapi::{Enum, Object};

use crate::{
    error::ApiError,
    fields::{DateTime, Id, NO_CONTROL, NO_NUL, described::described, example::example},
};

/// The longest description, in characters.
const DESCRIPTION_CHARS: usize = 500;

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "RuleAction", rename_all = "snake_case")]
enum RuleAction {
    Publish,
    Subscribe,
    Both,
}

/// What a rule does: `allow`, unless another rule denies; or `deny`, whatever other rules allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "RuleEffect", rename_all = "snake_case")]
enum RuleEffect {
    /// Allows it, unless another rule denies it.
    Allow,
    /// Denies it, whatever other rules allow.
    Deny,
}

described! {
    /// `everyone`, `role:user`, `role:admin` or `user:NAME`.
    SubjectText(String, "role:user") {
        max_length: Some(69),
        pattern: Some("^(everyone|role:(user|admin)|user:[a-z0-9][a-z0-9._-]{0,63})$".to_owned()),
    }
}

described! {
    /// A topic filter in which `%u` stands for the username and `%c` for the client id.
    FilterText(String, "rooms/%u/#") {
        min_length: Some(1),
        max_length: Some(TOPIC_BYTES),
        pattern: Some(NO_NUL.to_owned()),
    }
}

described! {
    /// What the rule is for.
    RuleDescription(String, "Users talk in rooms of their own.") {
        max_length: Some(DESCRIPTION_CHARS),
        pattern: Some(NO_CONTROL.to_owned()),
    }
}

/// An access rule.
#[derive(Object)]
#[oai(example, rename = "Rule")]
pub(crate) struct RuleView {
    id: Id,
    subject: SubjectText,
    action: RuleAction,
    effect: RuleEffect,
    filter: FilterText,
    description: Option<RuleDescription>,
    /// When it was made.
    created_at: DateTime,
}

example!(RuleView {
    id,
    subject,
    action: RuleAction::Both,
    effect: RuleEffect::Allow,
    filter,
    description: Some(RuleDescription::example()),
    created_at,
});

/// The rule to make, or to put in the place of another.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
pub(crate) struct NewRule {
    /// Whom it is about: `everyone`, `role:user`, `role:admin` or `user:NAME`; the user need not exist.
    subject: SubjectText,
    action: RuleAction,
    effect: RuleEffect,
    /// A topic filter in which `%u` stands for the username, `%c` for the client id and `%%` for a percent sign; at
    /// most one of them in a level. `$share/GROUP/...`, without `%u` and `%c`, is about subscribing in that group alone,
    /// which an allow rule makes one group of all whom it concerns.
    filter: FilterText,
    /// What the rule is for: at most 500 characters, none of them a control character.
    description: Option<RuleDescription>,
}

example!(NewRule {
    subject,
    action: RuleAction::Both,
    effect: RuleEffect::Allow,
    filter,
    description: Some(RuleDescription::example()),
});

impl NewRule {
    /// The rule, or what is wrong with it.
    pub(crate) fn content(&self) -> Result<RuleContent, ApiError> {
        let filter = FilterTemplate::parse(&self.filter.0)
            .map_err(|error| ApiError::invalid(format!("filter: {error}")))?;
        if filter.is_shared() && self.action != RuleAction::Subscribe {
            return Err(ApiError::invalid(
                "filter: a rule about a group ($share/<group>/...) is about subscribing alone",
            ));
        }
        let description = self.description.as_ref().map(|text| &text.0);
        if description.is_some_and(|text| {
            text.chars().count() > DESCRIPTION_CHARS || text.contains(char::is_control)
        }) {
            return Err(ApiError::invalid(format!(
                "description: at most {DESCRIPTION_CHARS} characters, none of them a control character"
            )));
        }
        Ok(RuleContent {
            subject: subject(&self.subject.0)?,
            actions: self.action.into(),
            effect: match self.effect {
                RuleEffect::Allow => Effect::Allow,
                RuleEffect::Deny => Effect::Deny,
            },
            filter,
            description: description.cloned(),
        })
    }
}

/// Reads what [`subject_text`] writes.
fn subject(text: &str) -> Result<Subject, ApiError> {
    let invalid = |why: String| ApiError::invalid(format!("subject: {why}"));
    match text.split_once(':') {
        None if text == "everyone" => Ok(Subject::Everyone),
        Some(("role", role)) => match role.parse::<Role>() {
            Ok(role) => Ok(Subject::Role(role)),
            Err(error) => Err(invalid(error.to_string())),
        },
        Some(("user", name)) => match name.parse() {
            Ok(name) => Ok(Subject::User(name)),
            Err(error) => Err(invalid(format!("{error}"))),
        },
        _ => Err(invalid(
            "everyone, role:user, role:admin or user:NAME".into(),
        )),
    }
}

/// What a rule says, in a line.
pub(crate) fn summary(rule: &RuleContent) -> String {
    written(&rule.subject, rule.actions, rule.effect, &rule.filter)
}

/// As [`summary`], of a rule that there is.
pub(crate) fn summary_of(StoredRule { rule, .. }: &StoredRule) -> String {
    written(&rule.subject, rule.actions, rule.effect, &rule.filter)
}

fn written(subject: &Subject, actions: Actions, effect: Effect, filter: &FilterTemplate) -> String {
    let effect = match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let action = match actions {
        Actions::Publish => "publish",
        Actions::Subscribe => "subscribe",
        Actions::Both => "both",
    };
    let subject = subject_text(subject);
    format!("{effect} {subject} {action} {filter}")
}

fn subject_text(subject: &Subject) -> String {
    match subject {
        Subject::Everyone => "everyone".to_owned(),
        Subject::Role(role) => format!("role:{role}"),
        Subject::User(name) => format!("user:{name}"),
    }
}

impl From<RuleAction> for Actions {
    fn from(action: RuleAction) -> Self {
        match action {
            RuleAction::Publish => Self::Publish,
            RuleAction::Subscribe => Self::Subscribe,
            RuleAction::Both => Self::Both,
        }
    }
}

impl From<Actions> for RuleAction {
    fn from(actions: Actions) -> Self {
        match actions {
            Actions::Publish => Self::Publish,
            Actions::Subscribe => Self::Subscribe,
            Actions::Both => Self::Both,
        }
    }
}

impl From<StoredRule> for RuleView {
    fn from(stored: StoredRule) -> Self {
        let rule = stored.rule;
        Self {
            id: Id::of(rule.id),
            subject: SubjectText(subject_text(&rule.subject)),
            action: rule.actions.into(),
            effect: match rule.effect {
                Effect::Allow => RuleEffect::Allow,
                Effect::Deny => RuleEffect::Deny,
            },
            filter: FilterText(rule.filter.to_string()),
            description: stored.description.map(RuleDescription),
            created_at: stored.created_at.into(),
        }
    }
}
