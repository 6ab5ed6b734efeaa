//! Subscriptions by topic filter: which of them match a topic name (MQTT 5 section 4.7).
//!
//! A radix tree of levels. A node stands for a filter that somebody gave, or for where two of them part; the levels between
//! two nodes are one text. So there are at most twice as many nodes as filters, however many levels these have, and finding
//! what matches costs the levels of the topic and the wildcards on the way, not the filters there are.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

use herald_acl::{TopicFilter, TopicName};

/// Values by filter and key. No filter is a shared subscription's.
pub(crate) struct SubscriptionTrie<K, V> {
    /// Of no level: nothing ends here.
    root: Node<K, V>,
}

struct Node<K, V> {
    /// The levels between the one that the node is found by and its children, each with the `/` before it.
    levels: Box<str>,
    /// What was given the filter that ends here.
    values: HashMap<K, V>,
    /// By their first level, wildcards among them.
    children: HashMap<Box<str>, Node<K, V>>,
}

impl<K: Eq + Hash, V> SubscriptionTrie<K, V> {
    /// Whether there is nothing in it.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.root.values.is_empty() && self.root.children.is_empty()
    }

    /// Puts `value` in, and returns the one that had this filter and key before.
    pub(crate) fn insert(&mut self, filter: &TopicFilter, key: K, value: V) -> Option<V> {
        let mut node = &mut self.root;
        let mut rest = Some(filter.as_str());
        while let Some(text) = rest {
            let (level, after) = split(text);
            let child = node.children.entry(level.into());
            node = child.or_insert_with(|| Node::new(after));
            let shared = common(&node.levels, after);
            if shared < node.levels.len() {
                node.part(shared);
            }
            rest = after[shared..].strip_prefix('/');
        }
        node.values.insert(key, value)
    }

    /// Takes the value with this filter and key out.
    pub(crate) fn remove<Q>(&mut self, filter: &TopicFilter, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.root.remove(filter.as_str(), key)
    }

    /// The value with this filter and key.
    pub(crate) fn get<Q>(&self, filter: &TopicFilter, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.get_key_value(filter, key).map(|(_, value)| value)
    }

    /// The same, and the key that it was put in with.
    pub(crate) fn get_key_value<Q>(&self, filter: &TopicFilter, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut node = &self.root;
        let mut rest = Some(filter.as_str());
        while let Some(text) = rest {
            let (level, after) = split(text);
            node = node.children.get(level)?;
            rest = node.below(after)?;
        }
        node.values.get_key_value(key)
    }

    /// The value with this filter and key, to be changed.
    pub(crate) fn get_mut<Q>(&mut self, filter: &TopicFilter, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut node = &mut self.root;
        let mut rest = Some(filter.as_str());
        while let Some(text) = rest {
            let (level, after) = split(text);
            node = node.children.get_mut(level)?;
            rest = node.below(after)?;
        }
        node.values.get_mut(key)
    }

    /// Calls `found` with the values of each filter that matches `topic`.
    pub(crate) fn matching<'a>(
        &'a self,
        topic: &TopicName,
        mut found: impl FnMut(&'a HashMap<K, V>),
    ) {
        let topic = topic.as_str();
        if topic.starts_with('$') {
            // No wildcard stands for what starts with it (MQTT 5 section 4.7.2).
            let (level, after) = split(topic);
            if let Some(child) = self.root.children.get(level) {
                child.matching(after.strip_prefix('/'), &mut found);
            }
        } else {
            self.root.matching(Some(topic), &mut found);
        }
    }
}

impl<K: Eq + Hash, V> Node<K, V> {
    fn new(levels: &str) -> Self {
        Self {
            levels: levels.into(),
            values: HashMap::new(),
            children: HashMap::new(),
        }
    }

    /// What is left of `text`, the levels behind the one that the node is found by: `Some(None)` if it ends here, `None` if
    /// it leads elsewhere.
    fn below<'a>(&self, text: &'a str) -> Option<Option<&'a str>> {
        match text.strip_prefix(&*self.levels)? {
            "" => Some(None),
            rest => rest.strip_prefix('/').map(Some),
        }
    }

    /// Makes the node end after the first `at` bytes of its levels, with one child that has what it had.
    fn part(&mut self, at: usize) {
        let (level, after) = split(&self.levels[at + 1..]);
        let mut child = Self::new(after);
        std::mem::swap(&mut child.values, &mut self.values);
        std::mem::swap(&mut child.children, &mut self.children);
        self.children.insert(level.into(), child);
        self.levels = self.levels[..at].into();
    }

    /// Undoes [`Node::part`], if nothing else needs it.
    fn join(&mut self) {
        if !self.values.is_empty() || self.children.len() != 1 {
            return;
        }
        for (level, child) in std::mem::take(&mut self.children) {
            self.levels = [&*self.levels, "/", &*level, &*child.levels]
                .concat()
                .into();
            (self.values, self.children) = (child.values, child.children);
        }
    }

    /// Removes a value of the filter that goes on with `text`, and each node that is left without a use.
    fn remove<Q>(&mut self, text: &str, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (level, after) = split(text);
        let child = self.children.get_mut(level)?;
        let removed = match child.below(after)? {
            None => child.values.remove(key),
            Some(rest) => child.remove(rest, key),
        };
        child.join();
        if child.values.is_empty() && child.children.is_empty() {
            self.children.remove(level);
            if self.children.is_empty() {
                self.children = HashMap::new();
            }
        }
        removed
    }

    /// Calls `found` for each filter at or below the node that matches, where `topic` is what the topic has besides the
    /// levels that lead to the node.
    fn matching<'a>(&'a self, topic: Option<&str>, found: &mut impl FnMut(&'a HashMap<K, V>)) {
        let mut topic = topic;
        for wanted in self.levels.split('/').skip(1) {
            if wanted == "#" {
                return found(&self.values);
            }
            let Some(text) = topic else { return };
            let (level, after) = split(text);
            if wanted != "+" && wanted != level {
                return;
            }
            topic = after.strip_prefix('/');
        }
        if let Some(text) = topic {
            let (level, after) = split(text);
            for level in [level, "+"] {
                if let Some(child) = self.children.get(level) {
                    child.matching(after.strip_prefix('/'), found);
                }
            }
        } else if !self.values.is_empty() {
            found(&self.values);
        }
        // It stands for no level, too.
        if let Some(child) = self.children.get("#") {
            found(&child.values);
        }
    }
}

impl<K, V> Default for SubscriptionTrie<K, V> {
    fn default() -> Self {
        Self {
            root: Node {
                levels: "".into(),
                values: HashMap::new(),
                children: HashMap::new(),
            },
        }
    }
}

/// The first level of `text`, and what follows it: nothing, or a `/` and further levels.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}

/// The bytes of the levels that both begin with, each of which has a `/` before it.
fn common(one: &str, other: &str) -> usize {
    let both = one.split('/').zip(other.split('/')).skip(1);
    let same = both.take_while(|(one, other)| one == other);
    same.map(|(level, _)| 1 + level.len()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Trie = SubscriptionTrie<u8, u8>;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::parse(text).unwrap()
    }

    fn found(trie: &Trie, topic: &TopicName) -> Vec<u8> {
        let mut found = vec![];
        trie.matching(topic, |values| found.extend(values.values()));
        found.sort_unstable();
        found
    }

    impl Node<u8, u8> {
        fn count(&self) -> usize {
            1 + self.children.values().map(Self::count).sum::<usize>()
        }
    }

    #[test]
    fn many_levels_make_no_more_nodes_than_few() {
        let mut trie = Trie::default();
        let long = |last: &str| filter(&format!("{}{last}", "+/".repeat(126)));
        let all = ["a", "b", "#"].map(long);
        for (key, filter) in (0..).zip(&all) {
            trie.insert(filter, key, key);
        }
        assert!(trie.root.count() <= 2 * all.len(), "{}", trie.root.count());
        // Those that come and go leave no traces.
        for levels in 1..126 {
            let short = filter(&format!("{}x", "+/".repeat(levels)));
            assert_eq!(trie.insert(&short, 9, 9), None);
            assert_eq!(trie.remove(&short, &9), Some(9));
        }
        assert!(trie.root.count() <= 2 * all.len(), "{}", trie.root.count());
    }

    #[test]
    fn a_value_is_found_by_its_filter_and_key_alone() {
        let mut trie = Trie::default();
        for (text, value) in [("a/b/c", 1), ("a/b", 2), ("a/b/", 3)] {
            assert_eq!(trie.insert(&filter(text), 0, value), None);
        }
        assert_eq!(trie.insert(&filter("a/b"), 0, 4), Some(2));
        assert_eq!(trie.get(&filter("a/b/c"), &0), Some(&1));
        assert_eq!(trie.get_mut(&filter("a/b"), &0), Some(&mut 4));
        assert_eq!(trie.get(&filter("a/b"), &1), None);
        for text in ["a", "a/", "a/b/c/d", "a/bc", "b", "a/+", "#"] {
            assert_eq!(trie.get(&filter(text), &0), None, "{text}");
            assert_eq!(trie.remove(&filter(text), &0), None, "{text}");
        }
        for (text, value) in [("a/b/c", 1), ("a/b", 4), ("a/b/", 3)] {
            assert_eq!(trie.remove(&filter(text), &0), Some(value));
            assert_eq!(trie.remove(&filter(text), &0), None);
        }
        assert!(trie.is_empty());
    }

    /// Few levels, that filters share them, some of which are empty or start with `$`.
    const LEVELS: [&str; 5] = ["a", "b", "", "$a", "ab"];

    fn topic() -> impl Strategy<Value = TopicName> {
        let level = prop::sample::select(&LEVELS[..]);
        let levels = prop::collection::vec(level, 1..6);
        levels.prop_filter_map("not a topic", |all| TopicName::parse(all.join("/")).ok())
    }

    fn any_filter() -> impl Strategy<Value = TopicFilter> {
        let level = prop_oneof![
            3 => prop::sample::select(&LEVELS[..]),
            2 => Just("+"),
        ];
        let levels = prop::collection::vec(level, 0..5);
        (levels, any::<bool>()).prop_filter_map("not a filter", |(mut all, rest)| {
            all.extend(rest.then_some("#"));
            TopicFilter::parse(all.join("/")).ok()
        })
    }

    proptest! {
        /// Against the filters themselves, one after the other; `false` removes.
        #[test]
        fn what_matches_is_what_each_filter_by_itself_would_match(
            steps in prop::collection::vec((any_filter(), 0..3_u8, any::<bool>()), 0..60),
            topics in prop::collection::vec(topic(), 1..10),
        ) {
            let mut trie = Trie::default();
            let mut model: HashMap<(TopicFilter, u8), u8> = HashMap::new();
            for (value, (filter, key, insert)) in (0..).zip(steps) {
                let (old, expected) = match insert {
                    true => (
                        trie.insert(&filter, key, value),
                        model.insert((filter.clone(), key), value),
                    ),
                    false => (trie.remove(&filter, &key), model.remove(&(filter.clone(), key))),
                };
                prop_assert_eq!(old, expected);
                let filters: std::collections::HashSet<_> = model.keys().map(|(f, _)| f).collect();
                prop_assert!(trie.root.count() <= 1 + 2 * filters.len());
                for topic in &topics {
                    let all = model.iter().filter(|((filter, _), _)| filter.matches(topic));
                    let mut expected: Vec<u8> = all.map(|(_, value)| *value).collect();
                    expected.sort_unstable();
                    prop_assert_eq!(found(&trie, topic), expected, "{}", topic);
                }
            }
            for ((filter, key), value) in model {
                prop_assert_eq!(trie.get(&filter, &key), Some(&value));
                prop_assert_eq!(trie.remove(&filter, &key), Some(value));
            }
            prop_assert!(trie.is_empty());
        }
    }
}
