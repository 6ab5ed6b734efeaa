//! A policy decides as the plain loop over its rules does, and names the same rule.

use std::collections::HashSet;

use herald_acl::{
    Actions, Effect, FilterTemplate, Policy, Principal, Role, Rule, Subject, TopicFilter,
    TopicName, Username,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::policies::{any_client_id, any_role, any_username};
use crate::reference::{Asked, decide};

/// Levels of rules. Filled in they are often the same, and what the clients of the tests ask for.
const RULE_LEVELS: [&str; 17] = [
    "", "a", "b", "ab", "$x", "+", "+", "%u", "%c", "%ub", "a%c", "a%u", "%%u", "b%%", "users",
    "messages", "$SYS",
];

/// Levels of what is asked for.
const ASKED_LEVELS: [&str; 12] = [
    "", "a", "b", "ab", "$x", "aa", "%u", "b%", "fresh", "+", "users", "messages",
];

/// Texts of up to `depth` of these levels, and a `#` or none.
fn any_text(levels: &'static [&str], depth: usize) -> impl Strategy<Value = String> {
    let levels = prop::collection::vec(select(levels), 0..=depth);
    (levels, any::<bool>()).prop_map(|(mut levels, hash)| {
        levels.extend(hash.then_some("#"));
        levels.join("/")
    })
}

fn any_template(depth: usize) -> impl Strategy<Value = FilterTemplate> {
    any_text(&RULE_LEVELS, depth)
        .prop_filter_map("not a template", |text| FilterTemplate::parse(text).ok())
}

/// Rules whose ids are their places, of which one in `allows` + 1 denies.
fn any_rules(allows: u32) -> impl Strategy<Value = Vec<Rule>> {
    let subject = prop_oneof![
        2 => Just(Subject::Everyone),
        1 => any_role().prop_map(Subject::Role),
        1 => any_username().prop_map(Subject::User),
    ];
    let actions = select(&[Actions::Publish, Actions::Subscribe, Actions::Both]);
    let effect = prop_oneof![allows => Just(Effect::Allow), 1 => Just(Effect::Deny)];
    let rule = (subject, actions, effect, any_template(4));
    prop::collection::vec(rule, 0..24).prop_map(|rules| {
        let numbered = rules.into_iter().enumerate();
        numbered
            .map(|(id, (subject, actions, effect, filter))| Rule {
                id: id.to_string(),
                subject,
                actions,
                effect,
                filter,
            })
            .collect()
    })
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let share = select(&["", "", "$share/a/", "$share/$x/"]);
    let filter = (share, any_text(&ASKED_LEVELS, 5))
        .prop_filter_map("not a filter", |(s, text)| {
            TopicFilter::parse(format!("{s}{text}")).ok()
        });
    let topic = || {
        any_text(&ASKED_LEVELS, 5).prop_filter_map("not a topic", |text| {
            TopicName::parse(text.replace('+', "a").replace('#', "b")).ok()
        })
    };
    let reserved = any_reserved();
    prop_oneof![
        2 => topic().prop_map(Asked::Publish),
        1 => topic().prop_map(Asked::Receive),
        2 => filter.prop_map(Asked::Subscribe),
        2 => reserved,
    ]
}

/// Around what rules have no say in.
fn any_reserved() -> impl Strategy<Value = Asked> {
    let first = select(&["users", "users", "users", "$SYS", "+"]);
    let second = select(&["a", "a", "b", "ab", "broker", "+", ""]);
    let third = select(&["messages", "messages", "connection", "notifications", "+"]);
    let levels = (first, second, third, any::<bool>(), 1..=4_usize);
    let text = levels.prop_map(|(first, second, third, hash, depth)| {
        let mut levels = [first, second, third, if hash { "#" } else { "x" }];
        if hash && depth < 4 {
            levels[depth] = "#";
        }
        levels[..(depth + usize::from(hash)).min(4)].join("/")
    });
    let share = select(&["", "", "$share/a/"]);
    (share, text, 0..3_u8).prop_map(|(share, text, action)| {
        let topic = || TopicName::parse(text.replace('+', "a").replace('#', "b")).unwrap();
        match action {
            0 => Asked::Publish(topic()),
            1 => Asked::Receive(topic()),
            _ => Asked::Subscribe(TopicFilter::parse(format!("{share}{text}")).unwrap()),
        }
    })
}

pub(crate) fn assert_same(
    rules: &[Rule],
    policy: &Policy,
    principal: &Principal<'_>,
    asked: &Asked,
) {
    let mut expected = decide(rules, principal, asked);
    let decision = match asked {
        Asked::Publish(topic) => {
            let permit = policy.publish(principal, topic);
            permit.map(|permit| {
                permit
                    .rule
                    .map_or_else(String::new, |rule| rule.to_string())
            })
        }
        Asked::Receive(topic) => {
            // Which rule allows it is not said.
            expected = expected.map(|_| String::new());
            policy.receive(principal, topic).map(|()| String::new())
        }
        Asked::Subscribe(filter) => {
            let permit = policy.subscribe(principal, filter);
            permit.map(|permit| permit.rule.to_string())
        }
    };
    assert_eq!(
        decision, expected,
        "{asked:?} by {principal:?} under {rules:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_policy_that_denies_little_decides_as_the_plain_loop(
        rules in any_rules(12), username in any_username(), role in any_role(),
        client_id in any_client_id(), asked in prop::collection::vec(any_asked(), 16),
    ) {
        let policy = Policy::new(rules.clone());
        let principal = Principal { username: &username, role, client_id: &client_id };
        for asked in asked {
            assert_same(&rules, &policy, &principal, &asked);
        }
    }

    #[test]
    fn a_policy_that_denies_much_decides_as_the_plain_loop(
        rules in any_rules(1), username in any_username(), role in any_role(),
        client_id in any_client_id(), asked in prop::collection::vec(any_asked(), 16),
    ) {
        let policy = Policy::new(rules.clone());
        let principal = Principal { username: &username, role, client_id: &client_id };
        for asked in asked {
            assert_same(&rules, &policy, &principal, &asked);
        }
    }
}

#[test]
fn one_rule_decides_as_the_plain_loop_for_all_templates_of_two_levels_and_filters_of_three() {
    let username = Username::parse("a").unwrap();
    let asked: Vec<Asked> = texts(&["", "a", "ab", "$x", "+"], 3)
        .iter()
        .flat_map(|text| {
            let topic = TopicName::parse(text).ok();
            let filter = TopicFilter::parse(text).map(Asked::Subscribe);
            let publish = topic.clone().map(Asked::Publish);
            [publish, topic.map(Asked::Receive), filter.ok()]
                .into_iter()
                .flatten()
        })
        .collect();
    for text in texts(&["", "a", "$x", "+", "%u", "%c", "%ub", "a%c", "%%u"], 2) {
        let Ok(filter) = FilterTemplate::parse(text) else {
            continue;
        };
        for effect in [Effect::Allow, Effect::Deny] {
            let rule = |id: &str, effect, filter: &str| Rule {
                id: id.into(),
                subject: Subject::Everyone,
                actions: Actions::Both,
                effect,
                filter: FilterTemplate::parse(filter).unwrap(),
            };
            let mut rules = vec![rule("it", effect, filter.as_str())];
            if effect == Effect::Deny {
                rules.push(rule("all", Effect::Allow, "#"));
                rules.push(rule("system", Effect::Allow, "$x/#"));
            }
            let policy = Policy::new(rules.clone());
            for client_id in ["b", "$x", ""] {
                let principal = Principal {
                    username: &username,
                    role: Role::User,
                    client_id,
                };
                for asked in &asked {
                    assert_same(&rules, &policy, &principal, asked);
                }
            }
        }
    }
}

/// All texts of up to `depth` of these levels, with a `#` and without.
fn texts(levels: &[&str], depth: usize) -> HashSet<String> {
    let mut longest = vec![Vec::new()];
    let mut all = longest.clone();
    for _ in 0..depth {
        let longer = |text: &Vec<_>| {
            let longer = levels.iter().map(|&level| [text, &[level][..]].concat());
            longer.collect::<Vec<_>>()
        };
        longest = longest.iter().flat_map(longer).collect();
        all.extend_from_slice(&longest);
    }
    let hashed = all.iter().map(|text| [text, &["#"][..]].concat());
    let texts = hashed.chain(all.iter().cloned());
    texts.map(|levels| levels.join("/")).collect()
}
