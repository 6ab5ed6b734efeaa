//! Topic filters: parsing, and how they compare.

use divan::black_box;
use herald_acl::{TopicFilter, TopicName};

const FILTERS: [&str; 4] = [
    "rooms/kitchen/door",
    "rooms/+/door/#",
    "$share/crew/rooms/+/door",
    "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/+",
];

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect("a valid filter")
}

#[divan::bench(args = FILTERS)]
fn parse(text: &str) -> TopicFilter {
    filter(text)
}

#[divan::bench(args = FILTERS)]
fn matches(bencher: divan::Bencher<'_, '_>, text: &str) {
    let filter = filter(text);
    let topic = text.replace("$share/crew/", "").replace(['+', '#'], "x");
    let topic = TopicName::parse(topic).expect("a valid topic");
    assert!(filter.matches(&topic));
    bencher.bench(|| black_box(&filter).matches(black_box(&topic)));
}

#[divan::bench(args = FILTERS)]
fn covers(bencher: divan::Bencher<'_, '_>, text: &str) {
    let (filter, other) = (filter(text), filter(text));
    assert!(filter.covers(&other));
    bencher.bench(|| black_box(&filter).covers(black_box(&other)));
}

#[divan::bench(args = FILTERS)]
fn overlaps(bencher: divan::Bencher<'_, '_>, text: &str) {
    let (filter, other) = (filter(text), filter(text));
    assert!(filter.overlaps(&other));
    bencher.bench(|| black_box(&filter).overlaps(black_box(&other)));
}

fn main() {
    divan::main();
}
