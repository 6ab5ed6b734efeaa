//! The rules together, and what they decide.

use std::collections::HashSet;

use crate::filter::TopicFilter;
use crate::groups::Groups;
use crate::index::{Index, Verdict};
use crate::own::{self, OwnTopics};
use crate::role::Role;
use crate::rule::{Actions, Effect, Rule, Subject};
use crate::template::FilterTemplate;
use crate::topic::TopicName;
use crate::username::Username;

/// The client that asks.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The user it is logged in as.
    pub username: &'a Username,
    /// The role of that user.
    pub role: Role,
    /// What the client calls itself: any text, chosen by the client.
    pub client_id: &'a str,
}

/// The answer to a client, and the rule it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the client may do what it asked.
    pub allowed: bool,
    /// The id of the rule that decided; `None` if no rule allows it, which denies it.
    pub rule: Option<String>,
}

/// An immutable set of rules. What no rule allows is denied, and a deny rule outweighs every allow
/// rule.
///
/// A deny rule that cannot be expanded for a client (see [`FilterTemplate::expand`]) denies it
/// every action that the rule is about: a client does not get rid of a rule by the id it takes. An
/// allow rule that cannot be expanded allows nothing.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Of each rule, in their order.
    ids: Vec<String>,
    /// What [`opens_group`](Self::opens_group) is true for.
    open: HashSet<String>,
    /// Of each allow rule with a `%u`, in their order.
    named: Vec<(Subject, FilterTemplate)>,
    index: Index,
    groups: Groups,
}

impl Policy {
    /// A policy of these rules. Their order only says which one a decision names if several would
    /// do: the earlier one.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let named = rules.iter().filter(|rule| own::names_its_user(rule));
        let open = rules.iter().filter(|rule| rule.filter.is_shared());
        Self {
            open: open.map(|rule| rule.id.clone()).collect(),
            named: named
                .map(|rule| (rule.subject.clone(), rule.filter.clone()))
                .collect(),
            index: Index::new(&rules),
            groups: Groups::new(&rules),
            ids: rules.into_iter().map(|rule| rule.id).collect(),
        }
    }

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

    /// Whether the rule with this id is about a group of a shared subscription by its name: a group that it lets a client
    /// into is one of all whom it lets in, not of each user apart.
    #[must_use]
    pub fn opens_group(&self, rule: &str) -> bool {
        self.open.contains(rule)
    }

    /// The topics that belong to `username`, whether or not there is such a user.
    #[must_use]
    pub fn own_topics(&self, username: &Username) -> OwnTopics {
        OwnTopics::new(&self.named, username)
    }

    /// Decides whether a client may publish to `topic`: an allow rule matches it and no deny rule
    /// does.
    #[must_use]
    pub fn publish(&self, who: &Who<'_>, topic: &TopicName) -> Decision {
        self.name_rule(self.index.publish(who, topic))
    }

    /// Decides whether a client may subscribe to `filter`: one allow rule covers all of it and no
    /// deny rule overlaps it.
    ///
    /// A shared subscription is decided on the inner filter, and by the rules about its group: those
    /// whose filter is `$share/{group}/...`, which concern no other subscription. Such an allow rule
    /// is the one that is named, as it also [opens the group](Self::opens_group).
    #[must_use]
    pub fn subscribe(&self, who: &Who<'_>, filter: &TopicFilter) -> Decision {
        let by_topics = self.index.subscribe(who, filter);
        if !filter.is_shared() {
            return self.name_rule(by_topics);
        }
        let by_group = self.groups.subscribe(who, filter);
        self.name_rule(match (by_topics, by_group) {
            (Verdict::Denied(a), Verdict::Denied(b)) => Verdict::Denied(a.min(b)),
            (denied @ Verdict::Denied(_), _) => denied,
            (by_topics, Verdict::Unmentioned) => by_topics,
            (_, by_group) => by_group,
        })
    }

    fn name_rule(&self, verdict: Verdict) -> Decision {
        let (allowed, rule) = match verdict {
            Verdict::Allowed(rule) => (true, Some(rule)),
            Verdict::Denied(rule) => (false, Some(rule)),
            Verdict::Unmentioned => (false, None),
        };
        Decision {
            allowed,
            rule: rule.map(|rule| self.ids[rule].clone()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Client(Username, Role, &'static str);

    impl Client {
        fn new(username: &str, role: Role) -> Self {
            Self(Username::parse(username).unwrap(), role, "phone")
        }

        fn publish(&self, policy: &Policy, topic: &str) -> (bool, Option<String>) {
            let decision = policy.publish(&self.who(), &TopicName::parse(topic).unwrap());
            (decision.allowed, decision.rule)
        }

        fn subscribe(&self, policy: &Policy, filter: &str) -> (bool, Option<String>) {
            let decision = policy.subscribe(&self.who(), &TopicFilter::parse(filter).unwrap());
            (decision.allowed, decision.rule)
        }

        fn who(&self) -> Who<'_> {
            Who {
                username: &self.0,
                role: self.1,
                client_id: self.2,
            }
        }
    }

    fn deny(id: &str, subject: &Subject, actions: Actions, filter: &str) -> Rule {
        Rule {
            effect: Effect::Deny,
            ..allow(id, subject, actions, filter)
        }
    }

    fn allowed(rule: &str) -> (bool, Option<String>) {
        (true, Some(rule.into()))
    }

    fn denied(rule: &str) -> (bool, Option<String>) {
        (false, Some(rule.into()))
    }

    const DEFAULT: (bool, Option<String>) = (false, None);

    #[test]
    fn a_user_reads_the_own_inbox_and_the_broadcasts() {
        let (policy, bob) = (Policy::builtin(), Client::new("bob", Role::User));
        for filter in [
            "users/bob/#",
            "users/bob/notifications",
            "users/bob/+",
            "users/bob",
        ] {
            assert_eq!(
                bob.subscribe(&policy, filter),
                allowed("builtin-inbox"),
                "{filter}"
            );
        }
        assert_eq!(
            bob.subscribe(&policy, "broadcast/#"),
            allowed("builtin-broadcast")
        );
        assert_eq!(
            bob.subscribe(&policy, "$share/g/users/bob/#"),
            allowed("builtin-inbox")
        );
        assert_eq!(
            bob.subscribe(&policy, "responses/bob/#"),
            allowed("builtin-responses")
        );
    }

    #[test]
    fn a_user_reads_nothing_else() {
        let (policy, bob) = (Policy::builtin(), Client::new("bob", Role::User));
        let filters = [
            "#",
            "+/#",
            "+",
            "users/#",
            "users/+/#",
            "users/+/messages",
            "users/alice/#",
            "users/bobby/#",
            "+/bob/#",
            "$SYS/#",
            "$share/g/#",
            "$share/users/bob/#",
            "broadcasts",
            "responses/#",
            "responses/+/1",
            "responses/alice/#",
        ];
        for filter in filters {
            assert_eq!(bob.subscribe(&policy, filter), DEFAULT, "{filter}");
        }
    }

    #[test]
    fn a_user_sends_only_own_messages() {
        let (policy, bob) = (Policy::builtin(), Client::new("bob", Role::User));
        assert_eq!(
            bob.publish(&policy, "users/bob/messages"),
            allowed("builtin-send")
        );
        let topics = [
            "users/alice/messages",
            "users/bob/notifications",
            "broadcast/all",
            "responses/bob/1",
            "$SYS/x",
            "x",
        ];
        for topic in topics {
            assert_eq!(bob.publish(&policy, topic), DEFAULT, "{topic}");
        }
    }

    #[test]
    fn an_admin_reads_everything_announces_and_responds() {
        let (policy, root) = (Policy::builtin(), Client::new("root", Role::Admin));
        assert_eq!(root.subscribe(&policy, "#"), allowed("builtin-debug"));
        assert_eq!(
            root.subscribe(&policy, "users/alice/#"),
            allowed("builtin-debug")
        );
        assert_eq!(root.subscribe(&policy, "$other/#"), DEFAULT);
        assert_eq!(
            root.publish(&policy, "broadcast/all"),
            allowed("builtin-announce")
        );
        assert_eq!(root.subscribe(&policy, "$SYS/#"), allowed("builtin-sys"));
        assert_eq!(
            root.publish(&policy, "responses/alice/1"),
            allowed("builtin-respond")
        );
        assert_eq!(root.publish(&policy, "users/alice/messages"), DEFAULT);
        assert_eq!(root.publish(&policy, "$SYS/x"), DEFAULT);
    }

    #[test]
    fn the_most_specific_allow_rule_is_named_in_any_order() {
        let (policy, root) = (Policy::builtin(), Client::new("root", Role::Admin));
        assert_eq!(
            root.subscribe(&policy, "users/root/x"),
            allowed("builtin-inbox")
        );
        let reversed = Policy::new(Policy::builtin_rules().into_iter().rev().collect());
        assert_eq!(
            root.subscribe(&reversed, "users/root/x"),
            allowed("builtin-inbox")
        );
    }

    #[test]
    fn a_deny_rule_outweighs_allow_rules_before_and_after_it() {
        let all = allow("all", &Subject::Everyone, Actions::Both, "#");
        let secret = deny("secret", &Subject::Everyone, Actions::Both, "+/secret/#");
        let bob = Client::new("bob", Role::User);
        for rules in [vec![all.clone(), secret.clone()], vec![secret, all]] {
            let policy = Policy::new(rules);
            assert_eq!(bob.publish(&policy, "a/b"), allowed("all"));
            assert_eq!(bob.publish(&policy, "a/secret"), denied("secret"));
            assert_eq!(bob.subscribe(&policy, "a/b"), allowed("all"));
            assert_eq!(bob.subscribe(&policy, "a/secret/b"), denied("secret"));
            assert_eq!(bob.subscribe(&policy, "a/#"), denied("secret"));
            assert_eq!(bob.subscribe(&policy, "$share/g/a/+"), denied("secret"));
        }
    }

    #[test]
    fn a_rule_is_only_about_its_actions_and_its_subject() {
        let alice = Subject::User(Username::parse("alice").unwrap());
        let policy = Policy::new(vec![
            allow("all", &Subject::Everyone, Actions::Both, "#"),
            deny(
                "read-only",
                &Subject::Role(Role::User),
                Actions::Publish,
                "#",
            ),
            deny("not-alice", &alice, Actions::Subscribe, "#"),
        ]);
        let bob = Client::new("bob", Role::User);
        assert_eq!(bob.publish(&policy, "a"), denied("read-only"));
        assert_eq!(bob.subscribe(&policy, "a"), allowed("all"));
        let alice = Client::new("alice", Role::Admin);
        assert_eq!(alice.publish(&policy, "a"), allowed("all"));
        assert_eq!(alice.subscribe(&policy, "a"), denied("not-alice"));
    }

    #[test]
    fn two_allow_rules_do_not_add_up_to_a_wider_one() {
        let policy = Policy::new(vec![
            allow("deeper", &Subject::Everyone, Actions::Subscribe, "a/+/#"),
            allow("parent", &Subject::Everyone, Actions::Subscribe, "a"),
        ]);
        let bob = Client::new("bob", Role::User);
        assert_eq!(bob.subscribe(&policy, "a/#"), DEFAULT);
    }

    #[test]
    fn a_client_id_neither_widens_an_allow_rule_nor_escapes_a_deny_rule() {
        let devices = allow("devices", &Subject::Everyone, Actions::Both, "devices/%c/#");
        let locked = deny(
            "locked",
            &Subject::Everyone,
            Actions::Publish,
            "devices/%c/lock",
        );
        let policy = Policy::new(vec![devices, locked]);
        let mut bob = Client::new("bob", Role::User);
        assert_eq!(
            bob.subscribe(&policy, "devices/phone/#"),
            allowed("devices")
        );
        assert_eq!(bob.publish(&policy, "devices/phone/x"), allowed("devices"));
        assert_eq!(bob.publish(&policy, "devices/phone/lock"), denied("locked"));
        for client_id in ["+", "#", "phone/x", "a/+", "a\0"] {
            bob.2 = client_id;
            assert_eq!(
                bob.subscribe(&policy, "devices/phone/#"),
                DEFAULT,
                "{client_id:?}"
            );
            assert_eq!(
                bob.subscribe(&policy, "devices/+/#"),
                DEFAULT,
                "{client_id:?}"
            );
            assert_eq!(
                bob.publish(&policy, "devices/phone/x"),
                denied("locked"),
                "{client_id:?}"
            );
        }
    }

    #[test]
    fn a_rule_about_a_group_is_about_shared_subscriptions_in_it_alone() {
        let everyone = Subject::Everyone;
        let workers = Subject::Role(Role::User);
        let policy = Policy::new(vec![
            allow("lamps", &everyone, Actions::Subscribe, "lamps/#"),
            allow("jobs", &workers, Actions::Both, "$share/crew/jobs/+"),
            allow("crew", &workers, Actions::Subscribe, "$share/crew/lamps/1"),
            deny("closed", &everyone, Actions::Subscribe, "$share/no/#"),
            deny("danger", &everyone, Actions::Subscribe, "jobs/danger"),
        ]);
        let bob = Client::new("bob", Role::User);
        for (filter, decision) in [
            ("$share/crew/jobs/1", allowed("jobs")),
            // It denies some of that.
            ("$share/crew/jobs/+", denied("danger")),
            ("$share/crew/jobs/danger", denied("danger")),
            ("$share/crew/jobs/1/2", DEFAULT),
            ("$share/other/jobs/1", DEFAULT),
            ("jobs/1", DEFAULT),
            ("$share/crew/lamps/1", allowed("crew")),
            ("$share/crew/lamps/2", allowed("lamps")),
            ("$share/other/lamps/1", allowed("lamps")),
            ("lamps/1", allowed("lamps")),
            ("$share/no/lamps/1", denied("closed")),
        ] {
            assert_eq!(bob.subscribe(&policy, filter), decision, "{filter}");
        }
        assert_eq!(bob.publish(&policy, "jobs/1"), DEFAULT);
        let root = Client::new("root", Role::Admin);
        assert_eq!(root.subscribe(&policy, "$share/crew/jobs/1"), DEFAULT);
        assert!(policy.opens_group("jobs") && policy.opens_group("crew"));
        assert!(!policy.opens_group("lamps"));
    }

    #[test]
    fn a_policy_without_rules_allows_nothing() {
        let (policy, root) = (Policy::new(Vec::new()), Client::new("root", Role::Admin));
        assert_eq!(root.subscribe(&policy, "a"), DEFAULT);
        assert_eq!(root.publish(&policy, "a"), DEFAULT);
    }
}
