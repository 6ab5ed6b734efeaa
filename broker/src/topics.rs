//! Which topics Herald itself answers for.

use herald_acl::{TopicFilter, TopicName, Username};

/// First level of the durable plane.
const USERS: &str = "users";

/// `users/{username}/notifications`.
pub(crate) fn inbox(username: &Username) -> TopicName {
    TopicName::parse(format!("{USERS}/{username}/notifications"))
        .expect("a username is a valid topic level")
}

/// `users/{username}/#`: all that is a user's own.
pub(crate) fn own(username: &Username) -> TopicFilter {
    TopicFilter::parse(format!("{USERS}/{username}/#")).expect("a username is a valid topic level")
}

/// Below which a user is answered: the response information of CONNACK (MQTT 5 section 3.2.2.3.15).
pub(crate) fn responses(username: &Username) -> String {
    format!("responses/{username}")
}

/// What a topic that a client publishes to stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// `users/{name}/messages`: a send. The ACL has made sure that the name is the publisher's.
    Send,
    /// Any other topic below `users/`, or one that starts with `$`: nobody may publish there.
    Reserved,
    /// The shared plane.
    Shared,
}

/// Where a PUBLISH by `username` to `topic` goes.
pub(crate) fn destination(topic: &TopicName, username: &Username) -> Destination {
    let mut levels = topic.levels();
    match levels.next() {
        Some(USERS) => {
            let own = levels.next() == Some(username.as_ref())
                && levels.next() == Some("messages")
                && levels.next().is_none();
            if own {
                Destination::Send
            } else {
                Destination::Reserved
            }
        }
        Some(first) if first.starts_with('$') => Destination::Reserved,
        _ => Destination::Shared,
    }
}

/// Whether `filter` can match anything on the shared plane.
pub(crate) fn touches_shared(filter: &TopicFilter) -> bool {
    match filter.levels().next() {
        Some(first) => first != USERS && !first.starts_with('$'),
        None => false,
    }
}

/// Whether `filter` can match anything that the broker says of itself.
pub(crate) fn touches_sys(filter: &TopicFilter) -> bool {
    filter.levels().next() == Some("$SYS")
}

/// Whether all that `filter` can match is on the durable plane.
pub(crate) fn is_durable(filter: &TopicFilter) -> bool {
    filter.levels().next() == Some(USERS)
}

/// Whether `filter` can match anything on the durable plane.
pub(crate) fn touches_users(filter: &TopicFilter) -> bool {
    matches!(filter.levels().next(), Some(USERS | "+" | "#"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dest(topic: &str) -> Destination {
        destination(
            &TopicName::parse(topic).unwrap(),
            &Username::parse("bob").unwrap(),
        )
    }

    #[test]
    fn only_ones_own_messages_topic_is_a_send() {
        assert_eq!(dest("users/bob/messages"), Destination::Send);
        for topic in [
            "users/alice/messages",
            "users/bob/messages/x",
            "users/bob/notifications",
            "users",
            "users/bob",
            "$SYS/x",
        ] {
            assert_eq!(dest(topic), Destination::Reserved, "{topic}");
        }
        assert_eq!(dest("broadcast/x"), Destination::Shared);
        assert_eq!(dest("/users/bob/messages"), Destination::Shared);
    }
}
