//! One decision, which every packet that publishes or subscribes waits for.

use std::{hint::black_box, time::Instant};

use herald_acl::{
    Actions, Effect, FilterTemplate, Policy, Role, Rule, Subject, TopicFilter, TopicName, Username,
    Who,
};

/// The fastest batch is told, so that what else the machine does hardly counts.
const BATCHES: usize = 20;

const DECISIONS_IN_BATCH: u32 = 1_000;

const CLIENT_ID: &str = "phone";

/// A policy as it could be, and what is asked of it. `{i}` is the number of the rule, or a number
/// that goes through those of the rules.
struct Shape {
    name: &'static str,
    /// The rules take turns with these.
    filters: &'static [&'static str],
    effect: Effect,
    subject: fn(usize) -> anyhow::Result<Subject>,
    role: Role,
    publish: &'static str,
    subscribe: &'static str,
}

/// What the shapes have in common.
const ALLOWS_EVERYONE: Shape = Shape {
    name: "",
    filters: &[],
    effect: Effect::Allow,
    subject: |_| Ok(Subject::Everyone),
    role: Role::User,
    publish: "",
    subscribe: "",
};

const SHAPES: [Shape; 11] = [
    Shape {
        name: "three kinds, none allows",
        filters: &[
            "plant/{i}/%u/#",
            "plant/+/line/{i}/state",
            "plant/7/line/3/machine/{i}",
        ],
        publish: "plant/7/line/3/denied",
        subscribe: "plant/7/line/3/#",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "rooms/r{i}/#",
        filters: &["rooms/r{i}/#"],
        publish: "rooms/r{i}/door",
        subscribe: "rooms/r{i}/+/state",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "%u/r{i}/#",
        filters: &["%u/r{i}/#"],
        publish: "alice/r{i}/door",
        subscribe: "alice/r{i}/+/state",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "r{i}-%u/#",
        filters: &["r{i}-%u/#"],
        publish: "r{i}-alice/door",
        subscribe: "r{i}-alice/+/state",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "+/{i}/+/state",
        filters: &["+/{i}/+/state"],
        publish: "rooms/{i}/door/state",
        subscribe: "rooms/{i}/+/state",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "rooms/r{i}/#, a user each",
        filters: &["rooms/r{i}/#"],
        subject: |i| match i {
            7 => Ok(Subject::User(Username::parse("alice")?)),
            i => Ok(Subject::User(Username::parse(&format!("user{i}"))?)),
        },
        publish: "rooms/r7/door",
        subscribe: "rooms/r7/+/state",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "deny rooms/r{i}/secret",
        filters: &["rooms/r{i}/secret"],
        effect: Effect::Deny,
        publish: "rooms/r{i}/door",
        subscribe: "rooms/r{i}/door",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "  the same, asked for all rooms",
        filters: &["rooms/r{i}/secret"],
        effect: Effect::Deny,
        publish: "rooms/r{i}/door/state",
        subscribe: "rooms/+/door",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "deny r{i}-%c/secret",
        filters: &["r{i}-%c/secret"],
        effect: Effect::Deny,
        publish: "r{i}-phone/door",
        subscribe: "r{i}-phone/+/state",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "deny $SYS/{i}, admin reads #",
        filters: &["$SYS/{i}/#"],
        effect: Effect::Deny,
        role: Role::Admin,
        publish: "rooms/r{i}/door",
        subscribe: "#",
        ..ALLOWS_EVERYONE
    },
    Shape {
        name: "rooms/r{i}/#, admin reads +/+/+",
        filters: &["rooms/r{i}/#"],
        role: Role::Admin,
        publish: "rooms/r{i}/door",
        subscribe: "+/+/+",
        ..ALLOWS_EVERYONE
    },
];

pub(crate) fn run() -> anyhow::Result<()> {
    println!(
        "{:<34} {:>6} {:>13} {:>15} {:>9}",
        "shape", "rules", "publish (us)", "subscribe (us)", "new (us)"
    );
    for rules in [6, 100] {
        measure(&SHAPES[0], rules)?;
    }
    for shape in &SHAPES {
        measure(shape, 1000)?;
    }
    Ok(())
}

fn measure(shape: &Shape, rules: usize) -> anyhow::Result<()> {
    let rule_list = rules_of(shape, rules)?;
    let start = Instant::now();
    let policy = Policy::new(rule_list);
    let new = start.elapsed().as_secs_f64() * 1e6;
    let username = Username::parse("alice")?;
    let who = Who {
        username: &username,
        role: shape.role,
        client_id: CLIENT_ID,
    };
    let numbers = || (0..rules).step_by(rules.div_ceil(100));
    let topics = numbers().map(|i| TopicName::parse(number(shape.publish, i)));
    let filters = numbers().map(|i| TopicFilter::parse(number(shape.subscribe, i)));
    let topics = topics.collect::<Result<Vec<_>, _>>()?;
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let publish = microseconds(&topics, |topic| policy.publish(&who, topic).is_ok());
    let subscribe = microseconds(&filters, |filter| policy.subscribe(&who, filter).is_ok());
    println!(
        "{:<34} {rules:>6} {publish:>13.2} {subscribe:>15.2} {new:>9.0}",
        shape.name
    );
    Ok(())
}

/// What a decision takes in the fastest batch; each batch asks these questions in turn.
fn microseconds<T>(questions: &[T], decide: impl Fn(&T) -> bool) -> f64 {
    let batch = || {
        let start = Instant::now();
        for question in questions.iter().cycle().take(DECISIONS_IN_BATCH as usize) {
            black_box(decide(black_box(question)));
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS_IN_BATCH)
    };
    std::iter::repeat_with(batch)
        .take(BATCHES)
        .fold(f64::INFINITY, f64::min)
}

/// The rules of the shape. If they deny or an administrator asks, the first allows everything.
fn rules_of(shape: &Shape, rules: usize) -> anyhow::Result<Vec<Rule>> {
    let rule = |i: usize, subject, effect, filter: &str| -> anyhow::Result<Rule> {
        Ok(Rule {
            id: i.to_string(),
            subject,
            actions: Actions::Both,
            effect,
            filter: FilterTemplate::parse(number(filter, i))?,
        })
    };
    let numbered = (0..rules).map(|i| {
        let filter = shape.filters[i % shape.filters.len()];
        rule(i, (shape.subject)(i)?, shape.effect, filter)
    });
    let mut all = numbered.collect::<Result<Vec<_>, _>>()?;
    if shape.effect == Effect::Deny || shape.role == Role::Admin {
        all[0] = rule(0, Subject::Everyone, Effect::Allow, "#")?;
    }
    Ok(all)
}

fn number(text: &str, i: usize) -> String {
    text.replace("{i}", &i.to_string())
}
