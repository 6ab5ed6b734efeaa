//! The topics that are one user's own, by the rules.

use crate::filter::TopicFilter;
use crate::principal::Principal;
use crate::role::Role;
use crate::rule::{Effect, Rule, Subject};
use crate::template::{FilterTemplate, is_level};
use crate::topic::TopicName;
use crate::username::Username;

/// The topics that belong to a user: those of the allow rules with a `%u`, for the user's name and any client id.
///
/// By one rule a topic belongs to at most one user. By two it may belong to two: with `chat/%u/+` and `chat/+/%u`,
/// `chat/alice/bob` is Alice's and Bob's.
#[derive(Debug, Clone)]
pub struct OwnTopics(Vec<Filled>);

/// The template of a rule about one user.
#[derive(Debug, Clone)]
struct Filled {
    template: FilterTemplate,
    /// With a `+` for each level that holds a `%c`.
    filter: TopicFilter,
    username: Username,
    /// The number of the first level that holds a `%c`, and the text before and after it.
    client: Option<(usize, String, String)>,
}

/// Whether [`OwnTopics`] depend on the rule.
pub(crate) fn names_its_user(rule: &Rule) -> bool {
    rule.effect == Effect::Allow && rule.filter.names_user()
}

impl OwnTopics {
    /// Those of `username` by `rules`, all of which [name](names_its_user) their user.
    pub(crate) fn new(rules: &[(Subject, FilterTemplate)], username: &Username) -> Self {
        let about = |subject: &Subject| match subject {
            // Topics stay a user's when the role changes.
            Subject::Everyone | Subject::Role(_) => true,
            Subject::User(name) => name == username,
        };
        let own = rules.iter().filter(|(subject, _)| about(subject));
        Self(
            own.filter_map(|(_, template)| Filled::new(template, username))
                .collect(),
        )
    }

    /// Whether `topic` is one of them.
    #[must_use]
    pub fn contains(&self, topic: &TopicName) -> bool {
        self.0.iter().any(|filled| filled.matches(topic))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Filled {
    /// `None` if the filter would be longer than one can be.
    fn new(template: &FilterTemplate, username: &Username) -> Option<Self> {
        let mut client = None;
        let mut levels = vec![];
        for (at, level) in template.as_str().split('/').enumerate() {
            let (text, place) = fill(level, username);
            match place {
                None => levels.push(text),
                Some(place) => {
                    let (before, after) = text.split_at(place);
                    client.get_or_insert_with(|| (at, before.to_owned(), after.to_owned()));
                    levels.push("+".to_owned());
                }
            }
        }
        Some(Self {
            template: template.clone(),
            filter: TopicFilter::parse(levels.join("/")).ok()?,
            username: username.clone(),
            client,
        })
    }

    fn matches(&self, topic: &TopicName) -> bool {
        if !self.filter.matches(topic) {
            return false;
        }
        let Some((at, before, after)) = &self.client else {
            return true;
        };
        // At most one client id makes the rule match the topic.
        let level = topic.levels().nth(*at).unwrap_or_default();
        let rest = level.strip_prefix(&**before);
        let client_id = rest.and_then(|rest| rest.strip_suffix(&**after));
        let Some(client_id) = client_id.filter(|id| is_level(id)) else {
            return false;
        };
        let principal = Principal {
            username: &self.username,
            role: Role::User,
            client_id,
        };
        let filter = self.template.expand(&principal);
        filter.is_some_and(|filter| filter.matches(topic))
    }
}

/// A level with the user's name filled in, and where the client id goes.
fn fill(level: &str, username: &Username) -> (String, Option<usize>) {
    let (mut text, mut place) = (String::new(), None);
    let mut characters = level.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('u') => text.push_str(username.as_str()),
            Some('c') => place = Some(text.len()),
            // A template has nothing else but `%%`.
            _ => text.push('%'),
        }
    }
    (text, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::rule::Actions;

    fn rule(subject: Subject, effect: Effect, filter: &str) -> Rule {
        Rule {
            id: filter.into(),
            subject,
            actions: Actions::Both,
            effect,
            filter: FilterTemplate::parse(filter).unwrap(),
        }
    }

    fn name(text: &str) -> Username {
        Username::parse(text).unwrap()
    }

    fn owns(policy: &Policy, username: &str, topic: &str) -> bool {
        let own = policy.own_topics(&name(username));
        own.contains(&TopicName::parse(topic).unwrap())
    }

    /// Whether a topic is Alice's by one rule for everyone.
    fn alices(filter: &str, topic: &str) -> bool {
        let rule = rule(Subject::Everyone, Effect::Allow, filter);
        owns(&Policy::new(vec![rule]), "alice", topic)
    }

    #[test]
    fn a_topic_is_a_users_own_if_a_rule_is_about_it_by_the_name() {
        for (filter, topic) in [
            ("rooms/%u/#", "rooms/alice"),
            ("rooms/%u/#", "rooms/alice/a/b"),
            ("+/x-%u-y", "a/x-alice-y"),
            ("pairs/%u/%u", "pairs/alice/alice"),
            ("100%%/%u", "100%/alice"),
            ("%u", "alice"),
        ] {
            assert!(alices(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn a_topic_of_another_name_or_of_no_name_is_not() {
        for (filter, topic) in [
            ("rooms/%u/#", "rooms/bob/alice"),
            ("rooms/%u/#", "rooms/alice2"),
            ("rooms/%u/#", "rooms/alic"),
            ("rooms/%u", "rooms/alice/a"),
            ("pairs/%u/%u", "pairs/alice/bob"),
            ("x-%u", "x-x-alice"),
            ("rooms/alice/#", "rooms/alice/a"),
            ("rooms/%%u/#", "rooms/alice"),
            ("rooms/%%u/#", "rooms/%u"),
            ("devices/%c/#", "devices/alice"),
            ("#", "alice"),
        ] {
            assert!(!alices(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn any_one_client_id_will_do() {
        for (filter, topic, own) in [
            ("%u/%c/#", "alice/phone/x", true),
            ("%u/%c", "alice/", false),
            ("%u/%c", "bob/alice", false),
            ("%c/%u", "bob/alice", true),
            ("%u/x-%c-y", "alice/x-phone-y", true),
            ("%u/x-%c-y", "alice/x--y", false),
            ("%u/x-%c-y", "alice/x-y", false),
            ("%u/x-%c-y", "alice/other", false),
            ("%c/%u/%c", "phone/alice/phone", true),
            ("%c/%u/%c", "phone/alice/tablet", false),
            ("%u/%c/%%c", "alice/phone/%c", true),
        ] {
            assert_eq!(alices(filter, topic), own, "{filter} {topic}");
        }
    }

    #[test]
    fn rules_that_deny_and_those_for_another_user_give_nothing() {
        let room = "rooms/%u/#";
        for (subject, effect, own) in [
            (Subject::Everyone, Effect::Deny, false),
            (Subject::User(name("bob")), Effect::Allow, false),
            (Subject::User(name("alice")), Effect::Allow, true),
            (Subject::Role(Role::Admin), Effect::Allow, true),
        ] {
            let policy = Policy::new(vec![rule(subject.clone(), effect, room)]);
            assert_eq!(owns(&policy, "alice", "rooms/alice/1"), own, "{subject:?}");
            assert_eq!(policy.own_topics(&name("alice")).is_empty(), !own);
        }
    }

    #[test]
    fn a_new_installation_gives_each_user_an_inbox_and_responses() {
        let policy = Policy::builtin();
        assert!(owns(&policy, "alice", "responses/alice/1"));
        assert!(owns(&policy, "alice", "users/alice/messages"));
        assert!(!owns(&policy, "alice", "responses/bob/1"));
        assert!(!owns(&policy, "alice", "broadcast/alice"));
    }
}
