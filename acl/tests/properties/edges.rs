//! Filters that are as long or as deep as they can be are decided on as the plain loop does.

use herald_acl::{
    Actions, Effect, FilterTemplate, Policy, Principal, Role, Rule, Subject, TopicFilter,
    TopicName, Username,
};

use crate::{decisions::assert_same, reference::Asked};

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
                let principal = Principal {
                    username: &username,
                    role: Role::User,
                    client_id: &client_id,
                };
                let slashes = "/".repeat(100);
                for text in [&format!("{client_id}{slashes}"), "z"] {
                    if let Ok(topic) = TopicName::parse(text) {
                        assert_same(&rules, &policy, &principal, &Asked::Publish(topic.clone()));
                        assert_same(&rules, &policy, &principal, &Asked::Receive(topic));
                    }
                    if let Ok(filter) = TopicFilter::parse(text) {
                        assert_same(&rules, &policy, &principal, &Asked::Subscribe(filter));
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
                let principal = Principal {
                    username: &Username::parse(name).unwrap(),
                    role: Role::User,
                    client_id: "b",
                };
                assert_same(&rules, &policy, &principal, &asked);
            }
        }
    }
}

#[test]
fn the_deepest_filters_are_told_apart() {
    let username = Username::parse("a").unwrap();
    let principal = Principal {
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
                assert_same(&rules, &policy, &principal, &asked);
            }
            let topic = TopicName::parse(&texts[1]).unwrap();
            for asked in [Asked::Publish(topic.clone()), Asked::Receive(topic)] {
                assert_same(&rules, &policy, &principal, &asked);
            }
        }
    }
}
