//! Properties of topic names, filters and how they relate.

use std::collections::BTreeSet;

use herald_acl::{FilterTemplate, TopicFilter, TopicName, Username};
use proptest::prelude::*;
use proptest::sample::select;

use crate::universe::{
    LEVELS, LEVELS_AND_FRESH, all_filters, any_topic, reference_matches, universe,
    witness_of_difference, witness_of_overlap,
};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap()
}

fn any_filter() -> impl Strategy<Value = TopicFilter> {
    let level = prop_oneof![3 => select(&LEVELS), 2 => Just("+")];
    (prop::collection::vec(level, 0..=5), any::<bool>()).prop_filter_map(
        "the empty text is no filter",
        |(mut levels, hash)| {
            levels.extend(hash.then_some("#"));
            TopicFilter::parse(levels.join("/")).ok()
        },
    )
}

/// Filters made from a topic or a filter by putting wildcards in: most of them match or cover it.
fn widened(text: &str) -> impl Strategy<Value = TopicFilter> + use<> {
    let levels: Vec<String> = text.split('/').map(Into::into).collect();
    let depth = levels.len();
    (
        prop::collection::vec(prop::bool::weighted(0.4), depth),
        0..=2 * depth,
    )
        .prop_map(move |(plus, cut)| {
            let level = |(level, plus): (&String, bool)| match plus && level != "#" {
                true => "+".to_owned(),
                false => level.clone(),
            };
            let mut widened: Vec<String> = levels.iter().zip(plus).map(level).collect();
            if cut <= depth {
                widened.truncate(cut);
                widened.push("#".into());
                widened.dedup_by(|a, b| a == "#" && b == "#");
            }
            filter(&widened.join("/"))
        })
}

/// A topic and two filters that often match it.
fn topic_and_filters() -> impl Strategy<Value = (TopicName, TopicFilter, TopicFilter)> {
    any_topic().prop_flat_map(|topic| {
        let one = prop_oneof![4 => widened(topic.as_str()).boxed(), 1 => any_filter().boxed()];
        let two = prop_oneof![4 => widened(topic.as_str()).boxed(), 1 => any_filter().boxed()];
        (Just(topic), one, two)
    })
}

/// A filter, one that often covers it, and one that often covers that.
fn chain() -> impl Strategy<Value = (TopicFilter, TopicFilter, TopicFilter)> {
    any_filter()
        .prop_flat_map(|narrow| (widened(narrow.as_str()), Just(narrow)))
        .prop_flat_map(|(middle, narrow)| {
            (Just(narrow), Just(middle.clone()), widened(middle.as_str()))
        })
}

#[test]
fn covers_and_overlaps_are_inclusion_and_intersection_for_all_filters_of_three_levels() {
    let topics = universe(&LEVELS_AND_FRESH, 4);
    let filters: Vec<(TopicFilter, BTreeSet<usize>)> = all_filters(&["", "a", "$x", "+"], 3)
        .into_iter()
        .map(|filter| {
            let matched = (0..topics.len())
                .filter(|&i| filter.matches(&topics[i]))
                .collect();
            (filter, matched)
        })
        .collect();
    for (f, f_topics) in &filters {
        for (g, g_topics) in &filters {
            assert_eq!(f.covers(g), g_topics.is_subset(f_topics), "{f} covers {g}");
            assert_eq!(
                f.overlaps(g),
                !f_topics.is_disjoint(g_topics),
                "{f} overlaps {g}"
            );
        }
    }
}

proptest! {
    #[test]
    fn matching_agrees_with_the_rules_written_down_one_by_one((topic, f, g) in topic_and_filters()) {
        for filter in [f, g] {
            prop_assert_eq!(filter.matches(&topic), reference_matches(&filter, &topic));
        }
    }

    #[test]
    fn a_filter_matches_what_a_filter_that_it_covers_matches((topic, f, g) in topic_and_filters()) {
        if f.covers(&g) && g.matches(&topic) {
            prop_assert!(f.matches(&topic), "{f} covers {g} which matches {topic}");
        }
    }

    #[test]
    fn filters_that_match_one_topic_overlap((topic, f, g) in topic_and_filters()) {
        if f.matches(&topic) && g.matches(&topic) {
            prop_assert!(f.overlaps(&g), "{f} and {g} match {topic}");
        }
    }

    #[test]
    fn overlapping_is_symmetric(f in any_filter(), g in any_filter()) {
        prop_assert_eq!(f.overlaps(&g), g.overlaps(&f));
    }

    #[test]
    fn filters_that_overlap_match_one_topic((_, f, g) in topic_and_filters()) {
        if f.overlaps(&g) {
            let topic = witness_of_overlap(&f, &g);
            prop_assert!(f.matches(&topic) && g.matches(&topic), "{f} and {g}: {topic}");
        }
    }

    #[test]
    fn a_filter_that_is_not_covered_matches_a_topic_that_the_other_does_not(
        (narrow, _, wide) in chain(), other in any_filter()
    ) {
        for (f, g) in [(&wide, &narrow), (&narrow, &wide), (&other, &narrow), (&narrow, &other)] {
            if !f.covers(g) {
                prop_assert!(
                    witness_of_difference(f, g, &LEVELS_AND_FRESH).is_some(),
                    "{g} matches nothing that {f} does not"
                );
            }
        }
    }

    #[test]
    fn a_filter_covers_itself_and_overlaps_itself(f in any_filter()) {
        prop_assert!(f.covers(&f) && f.overlaps(&f));
    }

    #[test]
    fn covering_is_transitive((narrow, middle, wide) in chain()) {
        if wide.covers(&middle) && middle.covers(&narrow) {
            prop_assert!(wide.covers(&narrow), "{wide} covers {middle} covers {narrow}");
        }
    }

    #[test]
    fn a_filter_overlaps_what_it_covers((narrow, middle, _) in chain()) {
        if middle.covers(&narrow) {
            prop_assert!(middle.overlaps(&narrow), "{middle} covers {narrow}");
        }
    }

    #[test]
    fn a_literal_filter_matches_the_one_topic_of_its_name((topic, f, _) in topic_and_filters()) {
        let literal = filter(topic.as_str());
        prop_assert!(literal.is_literal() && literal.matches(&topic));
        prop_assert_eq!(f.covers(&literal), f.matches(&topic));
        prop_assert_eq!(f.overlaps(&literal), f.matches(&topic));
    }

    #[test]
    fn a_shared_subscription_behaves_as_its_inner_filter((topic, f, g) in topic_and_filters()) {
        let shared = filter(&format!("$share/group/{f}"));
        prop_assert_eq!(shared.shared_filter(), Some(f.clone()));
        prop_assert_eq!(shared.matches(&topic), f.matches(&topic));
        prop_assert_eq!(shared.covers(&g), f.covers(&g));
        prop_assert_eq!(g.covers(&shared), g.covers(&f));
        prop_assert_eq!(shared.overlaps(&g), f.overlaps(&g));
    }

    #[test]
    fn parsing_takes_any_text_and_keeps_what_it_accepts(
        text in prop_oneof![any::<String>(), r"(\$share/)?[/+#$a%uc\x00é]{0,40}"]
    ) {
        if let Ok(name) = TopicName::parse(&text) {
            prop_assert_eq!(name.as_str(), &text);
            prop_assert!(TopicFilter::parse(&text).is_ok_and(|f| f.is_literal()) || text.starts_with("$share/"));
        }
        if let Ok(filter) = TopicFilter::parse(&text) {
            prop_assert_eq!(filter.as_str(), &text);
            prop_assert_eq!(filter.is_shared(), text.starts_with("$share/"));
        }
        if let Ok(template) = FilterTemplate::parse(&text) {
            prop_assert_eq!(template.as_str(), &text);
        }
        if let Ok(username) = Username::parse(&text) {
            prop_assert!(TopicName::parse(username.as_str()).is_ok());
        }
    }
}
