//! Topics to compare filters with, and an independent account of what filters match.
//!
//! A *universe* is all topic names of some levels up to some depth. It tells every two filters
//! apart if it has the levels they use, the empty level, one level that neither uses, and one level
//! of depth more than they have:
//! - at a `+` a topic differs from every literal of the other filter by the unused level (there is
//!   no need for an unused `$` level: a first `+` matches none, and further on `$` is nothing
//!   special);
//! - behind a `#` no filter asks for more than one level beyond the depth of both.

use herald_acl::{TopicFilter, TopicName};
use proptest::prelude::*;
use proptest::sample::select;

/// Levels of the filters and topics that are made up.
pub(crate) const LEVELS: [&str; 4] = ["", "a", "b", "$x"];

/// The levels above and one that no filter uses.
pub(crate) const LEVELS_AND_FRESH: [&str; 5] = ["", "a", "b", "$x", "fresh"];

/// Topic names of [`LEVELS`].
pub(crate) fn any_topic() -> impl Strategy<Value = TopicName> {
    prop::collection::vec(select(&LEVELS), 1..=6)
        .prop_filter_map("the empty text is no topic", |levels| {
            TopicName::parse(levels.join("/")).ok()
        })
}

/// All topic names of these levels with at most `depth` of them.
pub(crate) fn universe(levels: &[&str], depth: usize) -> Vec<TopicName> {
    texts(levels, depth)
        .iter()
        .filter_map(|text| TopicName::parse(text).ok())
        .collect()
}

/// All filters of these levels, and a `#` at the end or none, with at most `depth` levels.
pub(crate) fn all_filters(levels: &[&str], depth: usize) -> Vec<TopicFilter> {
    let plain = texts(levels, depth);
    let hashed = texts(levels, depth - 1).into_iter().map(|text| text + "/#");
    let texts = plain.into_iter().chain(hashed).chain(["#".to_owned()]);
    texts
        .filter_map(|text| TopicFilter::parse(text).ok())
        .collect()
}

fn texts(levels: &[&str], depth: usize) -> Vec<String> {
    let mut longest: Vec<String> = levels.iter().map(|&level| level.into()).collect();
    let mut all = longest.clone();
    for _ in 1..depth {
        let longer = |text: &String| {
            levels
                .iter()
                .map(move |level| format!("{text}/{level}"))
                .collect()
        };
        longest = longest.iter().flat_map::<Vec<_>, _>(longer).collect();
        all.extend_from_slice(&longest);
    }
    all
}

/// MQTT 5 section 4.7, as plainly as it can be put.
pub(crate) fn reference_matches(filter: &TopicFilter, topic: &TopicName) -> bool {
    let filter: Vec<&str> = filter.levels().collect();
    let topic: Vec<&str> = topic.levels().collect();
    let system = topic[0].starts_with('$') && matches!(filter[0], "+" | "#");
    !system && levels_match(&filter, &topic)
}

fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) => true,
        ([], []) => true,
        ([level, filter @ ..], [name, topic @ ..]) => {
            (*level == "+" || level == name) && levels_match(filter, topic)
        }
        _ => false,
    }
}

/// A topic that both filters match if they overlap: at each level what either asks for.
pub(crate) fn witness_of_overlap(f: &TopicFilter, g: &TopicFilter) -> TopicName {
    let (mut f, mut g) = (f.levels(), g.levels());
    let mut levels = Vec::new();
    loop {
        match (f.next(), g.next()) {
            (None, None) => break,
            (Some("#"), level) => {
                levels.extend(level.into_iter().chain(g));
                break;
            }
            (level, Some("#")) => {
                levels.extend(level.into_iter().chain(f));
                break;
            }
            (Some("+"), Some(level)) | (Some(level), _) | (None, Some(level)) => levels.push(level),
        }
    }
    levels.retain(|&level| level != "#");
    let mut text = levels.join("/").replace('+', "any");
    // There is no empty topic: what is left of `#` is a level, of `/#` a further one.
    if text.is_empty() {
        text = if levels.is_empty() {
            "any".into()
        } else {
            "/any".into()
        };
    }
    TopicName::parse(text).unwrap()
}

/// All topic names of these levels with at most `depth` of them that the filter matches, the
/// shorter ones first.
pub(crate) fn matched_topics<'a>(
    filter: &'a TopicFilter,
    levels: &'a [&'a str],
    depth: usize,
) -> impl Iterator<Item = TopicName> + use<'a> {
    let asked: Vec<&str> = filter.levels().collect();
    (1..=depth).flat_map(move |depth| {
        let choices: Vec<Vec<&str>> = (0..depth)
            .map(|at| match asked.get(at.min(asked.len() - 1)) {
                Some(&literal) if literal != "+" && literal != "#" => vec![literal],
                _ => levels.to_vec(),
            })
            .collect();
        let count = choices.iter().map(Vec::len).product::<usize>();
        (0..count).filter_map(move |mut number| {
            let mut pick = |choices: &Vec<_>| {
                let pick = choices[number % choices.len()];
                number /= choices.len();
                pick
            };
            let levels: Vec<&str> = choices.iter().map(&mut pick).collect();
            let topic = TopicName::parse(levels.join("/")).ok()?;
            reference_matches(filter, &topic).then_some(topic)
        })
    })
}

/// A topic that `g` matches and `f` does not, if there is one of these levels and those of `g`
/// with at most one level more than the deeper filter has.
pub(crate) fn witness_of_difference(
    f: &TopicFilter,
    g: &TopicFilter,
    levels: &[&str],
) -> Option<TopicName> {
    let depth = f.levels().count().max(g.levels().count()) + 1;
    matched_topics(g, levels, depth).find(|topic| !reference_matches(f, topic))
}
