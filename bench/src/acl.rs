//! One decision, which every packet that publishes or subscribes waits for.

use std::{hint::black_box, time::Instant};

use herald_acl::{
    Actions, Effect, FilterTemplate, Policy, Role, Rule, Subject, TopicFilter, TopicName, Username,
    Who,
};

const DECISIONS: u32 = 20_000;

pub(crate) fn run() -> anyhow::Result<()> {
    println!(
        "{:>8} {:>16} {:>16}",
        "rules", "publish (us)", "subscribe (us)"
    );
    for rules in [6, 100, 1000] {
        let policy = policy(rules)?;
        let username = Username::parse("alice")?;
        let who = Who {
            username: &username,
            role: Role::User,
            client_id: "phone",
        };
        // What no rule allows is compared with all of them.
        let topic = TopicName::parse("plant/7/line/3/denied")?;
        let filter = TopicFilter::parse("plant/7/line/3/#")?;
        let publish = microseconds(|| policy.publish(&who, black_box(&topic)).allowed);
        let subscribe = microseconds(|| policy.subscribe(&who, black_box(&filter)).allowed);
        println!("{rules:>8} {publish:>16.2} {subscribe:>16.2}");
    }
    Ok(())
}

fn microseconds(decide: impl Fn() -> bool) -> f64 {
    let start = Instant::now();
    for _ in 0..DECISIONS {
        black_box(decide());
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
}

/// Allow rules with and without placeholders, and some that deny.
fn policy(rules: usize) -> anyhow::Result<Policy> {
    let rule = |i: usize| -> anyhow::Result<Rule> {
        let filter = match i % 3 {
            0 => format!("plant/{i}/%u/#"),
            1 => format!("plant/+/line/{i}/state"),
            _ => format!("plant/7/line/3/machine/{i}"),
        };
        Ok(Rule {
            id: i.to_string(),
            subject: Subject::Everyone,
            actions: Actions::Both,
            effect: Effect::Allow,
            filter: FilterTemplate::parse(filter)?,
        })
    };
    Ok(Policy::new((0..rules).map(rule).collect::<Result<_, _>>()?))
}
