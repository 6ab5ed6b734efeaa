//! A decision, which every packet that publishes or subscribes waits for, and the index that it uses.

use std::{fmt, hint::black_box};

use divan::Bencher;
use herald_acl::{
    Actions, Effect, FilterTemplate, Policy, Principal, Role, Rule, Subject, TopicFilter,
    TopicName, Username,
};

/// Rules, and what is asked of them. `{i}` is the number of a rule; the topics asked for go through the numbers, too.
struct Shape {
    name: &'static str,
    rules: usize,
    /// The rules take turns with these.
    filters: &'static [&'static str],
    effect: Effect,
    subject: fn(usize) -> Subject,
    role: Role,
    publish: &'static str,
    subscribe: &'static str,
}

/// What the shapes have in common.
const ALLOWS_EVERYONE: Shape = Shape {
    name: "",
    rules: 1000,
    filters: &[],
    effect: Effect::Allow,
    subject: |_| Subject::Everyone,
    role: Role::User,
    publish: "",
    subscribe: "",
};

const THREE_KINDS: Shape = Shape {
    name: "three kinds, none allows",
    filters: &[
        "plant/{i}/%u/#",
        "plant/+/line/{i}/state",
        "plant/7/line/3/machine/{i}",
    ],
    publish: "plant/7/line/3/denied",
    subscribe: "plant/7/line/3/#",
    ..ALLOWS_EVERYONE
};

const SHAPES: [Shape; 13] = [
    Shape {
        rules: 6,
        ..THREE_KINDS
    },
    Shape {
        rules: 100,
        ..THREE_KINDS
    },
    THREE_KINDS,
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
            7 => Subject::User(user("alice")),
            i => Subject::User(user(&format!("user{i}"))),
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
        name: "deny rooms/r{i}/secret, asked for all rooms",
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

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4} {}", self.rules, self.name)
    }
}

impl Shape {
    /// The rules. If they deny or an administrator asks, the first allows everything.
    fn rules(&self) -> Vec<Rule> {
        let rule = |i: usize, subject, effect, filter: &str| Rule {
            id: i.to_string(),
            subject,
            actions: Actions::Both,
            effect,
            filter: FilterTemplate::parse(number(filter, i)).expect("a valid filter"),
        };
        let numbered = (0..self.rules).map(|i| {
            let filter = self.filters[i % self.filters.len()];
            rule(i, (self.subject)(i), self.effect, filter)
        });
        let mut all: Vec<Rule> = numbered.collect();
        if self.effect == Effect::Deny || self.role == Role::Admin {
            all[0] = rule(0, Subject::Everyone, Effect::Allow, "#");
        }
        all
    }

    /// `text` with a hundred of the numbers of rules.
    fn numbered(&self, text: &str) -> impl Iterator<Item = String> {
        let numbers = (0..self.rules).step_by(self.rules.div_ceil(100));
        numbers.map(move |i| number(text, i))
    }
}

fn number(text: &str, i: usize) -> String {
    text.replace("{i}", &i.to_string())
}

fn user(name: &str) -> Username {
    Username::parse(name).expect("a valid name")
}

#[divan::bench(args = SHAPES)]
fn publish(bencher: Bencher<'_, '_>, shape: &Shape) {
    let topics = shape.numbered(shape.publish);
    let topics: Vec<TopicName> = topics
        .map(|topic| TopicName::parse(topic).expect("a valid topic"))
        .collect();
    decide(bencher, shape, &topics, |policy, principal, topic| {
        policy.publish(principal, topic).is_ok()
    });
}

#[divan::bench(args = SHAPES)]
fn subscribe(bencher: Bencher<'_, '_>, shape: &Shape) {
    let filters = shape.numbered(shape.subscribe);
    let filters: Vec<TopicFilter> = filters
        .map(|filter| TopicFilter::parse(filter).expect("a valid filter"))
        .collect();
    decide(bencher, shape, &filters, |policy, principal, filter| {
        policy.subscribe(principal, filter).is_ok()
    });
}

/// Decides on these topics in turn.
fn decide<T>(
    bencher: Bencher<'_, '_>,
    shape: &Shape,
    asked: &[T],
    decide: impl Fn(&Policy, &Principal<'_>, &T) -> bool,
) {
    let policy = Policy::new(shape.rules());
    let username = user("alice");
    let principal = Principal {
        username: &username,
        role: shape.role,
        client_id: "phone",
    };
    let mut asked = asked.iter().cycle();
    bencher.bench_local(|| {
        asked
            .next()
            .map(|asked| decide(&policy, &principal, black_box(asked)))
    });
}

/// A new policy: what a change of the rules costs.
#[divan::bench(args = SHAPES)]
fn index(bencher: Bencher<'_, '_>, shape: &Shape) {
    bencher
        .with_inputs(|| shape.rules())
        .bench_values(Policy::new);
}

fn main() {
    divan::main();
}
