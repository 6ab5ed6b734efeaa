//! A policy decides as the plain loop over its rules does, and names the same rule.

use std::collections::HashSet;

use herald_acl::{
    Actions, Effect, FilterTemplate, Policy, Role, Rule, Subject, TopicFilter, TopicName, Username,
    Who,
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

fn assert_same(rules: &[Rule], policy: &Policy, who: &Who<'_>, asked: &Asked) {
    let mut expected = decide(rules, who, asked);
    let decision = match asked {
        Asked::Publish(topic) => {
            let permit = policy.publish(who, topic);
            permit.map(|permit| {
                permit
                    .rule
                    .map_or_else(String::new, |rule| rule.to_string())
            })
        }
        Asked::Receive(topic) => {
            // Which rule allows it is not said.
            expected = expected.map(|_| String::new());
            policy.receive(who, topic).map(|()| String::new())
        }
        Asked::Subscribe(filter) => {
            let permit = policy.subscribe(who, filter);
            permit.map(|permit| permit.rule.to_string())
        }
    };
    assert_eq!(decision, expected, "{asked:?} by {who:?} under {rules:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_policy_that_denies_little_decides_as_the_plain_loop(
        rules in any_rules(12), username in any_username(), role in any_role(),
        client_id in any_client_id(), asked in prop::collection::vec(any_asked(), 16),
    ) {
        let policy = Policy::new(rules.clone());
        let who = Who { username: &username, role, client_id: &client_id };
        for asked in asked {
            assert_same(&rules, &policy, &who, &asked);
        }
    }

    #[test]
    fn a_policy_that_denies_much_decides_as_the_plain_loop(
        rules in any_rules(1), username in any_username(), role in any_role(),
        client_id in any_client_id(), asked in prop::collection::vec(any_asked(), 16),
    ) {
        let policy = Policy::new(rules.clone());
        let who = Who { username: &username, role, client_id: &client_id };
        for asked in asked {
            assert_same(&rules, &policy, &who, &asked);
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
                let who = Who {
                    username: &username,
                    role: Role::User,
                    client_id,
                };
                for asked in &asked {
                    assert_same(&rules, &policy, &who, asked);
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

#[test]
fn a_client_id_that_makes_a_filter_too_long_fails_as_in_the_plain_loop() {
    let username = Username::parse("a").unwrap();
    // The filter that is asked for has one byte less for each `+`.
    let pluses = format!("%c{}", "/+".repeat(100));
    for effect in [Effect::Allow, Effect::Deny] {
        for filter in ["%c/%c", "x%c/y", &pluses] {
            let rules = [Rule {
                id: "it".into(),
                subject: Subject::Everyone,
                actions: Actions::Both,
                effect,
                filter: FilterTemplate::parse(filter).unwrap(),
            }];
            let policy = Policy::new(rules.to_vec());
            for bytes in [32_767, 32_768, 65_335, 65_336, 65_532, 65_533] {
                let client_id = "x".repeat(bytes);
                let who = Who {
                    username: &username,
                    role: Role::User,
                    client_id: &client_id,
                };
                let slashes = "/".repeat(100);
                for text in [&format!("{client_id}{slashes}"), "z"] {
                    if let Ok(topic) = TopicName::parse(text) {
                        assert_same(&rules, &policy, &who, &Asked::Publish(topic.clone()));
                        assert_same(&rules, &policy, &who, &Asked::Receive(topic));
                    }
                    if let Ok(filter) = TopicFilter::parse(text) {
                        assert_same(&rules, &policy, &who, &Asked::Subscribe(filter));
                    }
                }
            }
        }
    }
}

#[test]
fn a_user_name_that_makes_a_filter_too_long_fails_as_in_the_plain_loop() {
    let asked = Asked::Publish(TopicName::parse("z").unwrap());
    for effect in [Effect::Allow, Effect::Deny] {
        for bytes in [65_470, 65_471, 65_472, 65_535 - 3] {
            let rules = [Rule {
                id: "it".into(),
                subject: Subject::Everyone,
                actions: Actions::Both,
                effect,
                filter: FilterTemplate::parse(format!("{}/%u", "x".repeat(bytes))).unwrap(),
            }];
            let policy = Policy::new(rules.to_vec());
            for name in ["a", "bcd", &"a".repeat(63), &"a".repeat(64)] {
                let who = Who {
                    username: &Username::parse(name).unwrap(),
                    role: Role::User,
                    client_id: "b",
                };
                assert_same(&rules, &policy, &who, &asked);
            }
        }
    }
}

#[test]
fn the_deepest_filters_are_told_apart() {
    let username = Username::parse("a").unwrap();
    let who = Who {
        username: &username,
        role: Role::User,
        client_id: "b",
    };
    let deep = |level: &str, depth: usize| vec![level; depth].join("/");
    let texts = [
        deep("+", 128),
        deep("x", 128),
        format!("{}/#", deep("x", 127)),
        format!("{}/#", deep("+", 127)),
        format!("{}/+", deep("x", 127)),
        format!("+/{}", deep("x", 127)),
        "#".into(),
    ];
    for skip in 0..texts.len() {
        let mut order: Vec<&String> = texts.iter().collect();
        order.rotate_left(skip);
        for rules in [order.clone(), order.into_iter().rev().collect()] {
            let rule = |text: &String| Rule {
                id: text.clone(),
                subject: Subject::Everyone,
                actions: Actions::Both,
                effect: Effect::Allow,
                filter: FilterTemplate::parse(text).unwrap(),
            };
            let rules: Vec<Rule> = rules.into_iter().map(rule).collect();
            let policy = Policy::new(rules.clone());
            for text in &texts {
                let asked = Asked::Subscribe(TopicFilter::parse(text).unwrap());
                assert_same(&rules, &policy, &who, &asked);
            }
            let topic = TopicName::parse(&texts[1]).unwrap();
            for asked in [Asked::Publish(topic.clone()), Asked::Receive(topic)] {
                assert_same(&rules, &policy, &who, &asked);
            }
        }
    }
}
