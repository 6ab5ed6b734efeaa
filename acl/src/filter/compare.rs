//! How filters relate to topic names and to each other (MQTT 5 section 4.7).

use super::TopicFilter;
use crate::topic::TopicName;

impl TopicFilter {
    /// Whether the filter matches `topic` (MQTT 5 section 4.7): `#` stands for any number of
    /// levels, also none, `+` for one level, which may be empty, and a filter that starts with a
    /// wildcard does not match a topic name that starts with `$`.
    #[must_use]
    pub fn matches(&self, topic: &TopicName) -> bool {
        if topic.is_system() && self.inner().starts_with(['+', '#']) {
            return false;
        }
        let mut names = topic.levels();
        for level in self.levels() {
            match (level, names.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (literal, Some(name)) if literal == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// Whether this filter matches every topic name that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.first_levels_exclude_each_other(other) {
            return false;
        }
        let mut theirs = other.pattern();
        for ours in self.pattern() {
            match (ours, theirs.next()) {
                ("#", _) => return true,
                // Theirs also matches the parent level, which is too short for ours.
                (_, Some("#") | None) => return false,
                ("+", Some(_)) => {}
                (literal, Some(level)) if literal == level => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// Whether some topic name is matched by both filters.
    ///
    /// The length limit of topic names is not looked at: filters of tens of thousands of bytes are
    /// said to overlap even if what both match would be longer than a topic name can be.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.first_levels_exclude_each_other(other) {
            return false;
        }
        let (mut ours, mut theirs) = (self.pattern(), other.pattern());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some("#"), _) | (_, Some("#")) => return true,
                (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// The levels of an equivalent filter whose `#` matches the parent level in every case.
    ///
    /// There is no topic name of no level, or of one empty level, so `#` needs a level and `/#` two.
    pub(crate) fn pattern(&self) -> std::str::Split<'_, char> {
        let text = match self.inner() {
            "#" => "+/#",
            "/#" => "/+/#",
            text => text,
        };
        text.split('/')
    }

    /// Whether one filter matches only topic names that start with `$`, and the other starts with
    /// a wildcard and so matches none of them (MQTT 5 section 4.7.2).
    fn first_levels_exclude_each_other(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.inner(), other.inner());
        (ours.starts_with('$') && theirs.starts_with(['+', '#']))
            || (theirs.starts_with('$') && ours.starts_with(['+', '#']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::parse(text).unwrap()
    }

    fn topic(text: &str) -> TopicName {
        TopicName::parse(text).unwrap()
    }

    #[test]
    fn filters_match_as_the_specification_says() {
        // MQTT 5 section 4.7: filter, topic name, whether it matches.
        let table = [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/ranking",
                true,
            ),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
                true,
            ),
            ("sport/tennis/player1/#", "sport/tennis/player2", false),
            ("sport/#", "sport", true),
            ("sport/#", "sports", false),
            ("#", "sport/tennis", true),
            ("#", "/", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player2", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/tennis/#", "sport/tennis", true),
            ("+/tennis/#", "sport/tennis/player1", true),
            ("sport/+/player1", "sport/tennis/player1", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/monitor/Clients", true),
            ("$SYS/#", "$SYS", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("sport/#", "sport/$SYS", true),
            ("sport/+", "sport/$SYS", true),
            ("ACCOUNTS", "Accounts", false),
            ("Accounts payable", "Accounts payable", true),
            ("finance", "/finance", false),
            ("finance", "finance/", false),
            ("/#", "/", true),
            ("/#", "a", false),
        ];
        for (f, t, expected) in table {
            assert_eq!(filter(f).matches(&topic(t)), expected, "{f} matches {t}");
        }
    }

    #[test]
    fn a_filter_covers_what_it_matches_all_of() {
        let table = [
            ("#", "a/b", true),
            ("#", "+/+/#", true),
            ("#", "$SYS/#", false),
            ("+/#", "$SYS/a", false),
            ("+", "$SYS", false),
            ("$SYS/#", "$SYS/a/+", true),
            ("$SYS/#", "#", false),
            ("$SYS/#", "+/a", false),
            ("a/#", "a", true),
            ("a/#", "a/#", true),
            ("a/#", "a/+/#", true),
            ("a/+/#", "a/#", false),
            ("a/+", "a/#", false),
            ("a/+", "a/", true),
            ("a", "a/#", false),
            ("a/b", "a/+", false),
            ("+/b", "a/b", true),
            ("a/+", "a/$b", true),
            ("a", "a/b", false),
            ("a/b", "a", false),
            // The only topics without a parent level that could be matched.
            ("+/#", "#", true),
            ("/+/#", "/#", true),
            ("+/+/#", "/#", true),
            ("+/+/#", "+/#", false),
        ];
        for (f, g, expected) in table {
            assert_eq!(filter(f).covers(&filter(g)), expected, "{f} covers {g}");
        }
    }

    #[test]
    fn filters_overlap_if_both_match_a_topic() {
        let table = [
            ("a/+", "+/b", true),
            ("a/#", "a", true),
            ("a/#", "+", true),
            ("a/#", "+/b/c", true),
            ("a/#", "b/#", false),
            ("a/+", "a", false),
            ("a/+/c", "a/b/+", true),
            ("a/+/c", "a/b/d", false),
            ("#", "$SYS/#", false),
            ("+/a", "$SYS/a", false),
            ("+/a", "$SYS/#", false),
            ("$SYS/+", "$SYS/#", true),
            ("$SYS/#", "$other/#", false),
            ("a/+", "a/$b", true),
            ("a/#", "a/$b", true),
            // Only the empty topic would match both, and a topic is not empty.
            ("/#", "+", false),
            ("/#", "+/#", true),
            ("/#", "#", true),
        ];
        for (f, g, expected) in table {
            assert_eq!(filter(f).overlaps(&filter(g)), expected, "{f} overlaps {g}");
            assert_eq!(filter(g).overlaps(&filter(f)), expected, "{g} overlaps {f}");
        }
    }

    #[test]
    fn a_shared_subscription_is_compared_by_its_inner_filter() {
        let shared = filter("$share/consumer1/sport/tennis/+");
        assert!(shared.is_shared());
        assert_eq!(shared.share_name(), Some("consumer1"));
        assert_eq!(shared.shared_filter(), Some(filter("sport/tennis/+")));
        assert_eq!(shared.as_str(), "$share/consumer1/sport/tennis/+");
        assert_eq!(
            shared.levels().collect::<Vec<_>>(),
            ["sport", "tennis", "+"]
        );
        assert!(!shared.is_literal());
        assert!(shared.matches(&topic("sport/tennis/player1")));
        assert!(!shared.matches(&topic("$share/consumer1/sport/tennis/player1")));
        assert!(filter("sport/#").covers(&shared));
        assert!(shared.covers(&filter("sport/tennis/player1")));
        assert!(shared.overlaps(&filter("#")));
        assert!(!filter("$share/g/#").matches(&topic("$SYS/a")));

        let leading_slash = filter("$share/consumer1//finance");
        assert_eq!(leading_slash.shared_filter(), Some(filter("/finance")));
        assert!(leading_slash.is_literal());
    }
}
