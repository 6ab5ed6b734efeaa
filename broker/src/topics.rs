//! Which topics Herald itself answers for.

use herald_acl::{TopicFilter, TopicName, Username};

/// First level of the durable plane.
const USERS: &str = "users";

/// First level of what brokers say of themselves.
const SYS: &str = "$SYS";

/// Last level of the topic of what becomes of messages before they end.
const PROGRESS: &str = "progress";

/// `users/{username}/notifications`.
pub(crate) fn inbox(username: &Username) -> TopicName {
    TopicName::parse(format!("{USERS}/{username}/notifications"))
        .expect("a username is a valid topic level")
}

/// `users/{username}/progress`.
pub(crate) fn progress(username: &Username) -> TopicName {
    TopicName::parse(format!("{USERS}/{username}/{PROGRESS}"))
        .expect("a username is a valid topic level")
}

/// Whose progress `filter` is for: exactly `users/{username}/progress`, as no wildcard gets it.
pub(crate) fn followed(filter: &TopicFilter) -> Option<Username> {
    let mut levels = filter.as_str().split('/');
    let (users, name, progress) = (levels.next()?, levels.next()?, levels.next()?);
    let is_progress = users == USERS && progress == PROGRESS && levels.next().is_none();
    is_progress.then(|| Username::parse(name).ok()).flatten()
}

/// Whether a message to `topic` comes for a subscription to exactly that alone.
pub(crate) fn is_progress(topic: &TopicName) -> bool {
    let mut levels = topic.levels();
    levels.next() == Some(USERS) && levels.nth(1) == Some(PROGRESS) && levels.next().is_none()
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
    /// `$SYS/broker/connection/...`, where mosquitto's bridges tell of themselves: taken from everyone, and dropped.
    BridgeState,
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
        Some(SYS) if levels.next() == Some("broker") && levels.next() == Some("connection") => {
            Destination::BridgeState
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
    filter.levels().next() == Some(SYS)
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
            "users/bob/progress",
            "users",
            "users/bob",
            "$SYS/x",
        ] {
            assert_eq!(dest(topic), Destination::Reserved, "{topic}");
        }
        assert_eq!(dest("$SYS/broker/x"), Destination::Reserved);
        let bridge = dest("$SYS/broker/connection/home/state");
        assert_eq!(bridge, Destination::BridgeState);
        assert_eq!(dest("broadcast/x"), Destination::Shared);
        assert_eq!(dest("/users/bob/messages"), Destination::Shared);
    }

    #[test]
    fn progress_is_for_its_exact_topic_alone() {
        let of = |filter: &str| followed(&TopicFilter::parse(filter).unwrap());
        let bob = Username::parse("bob").unwrap();
        assert!(is_progress(&progress(&bob)));
        assert_eq!(of(progress(&bob).as_str()), Some(bob));
        for filter in [
            "#",
            "users/#",
            "users/bob/#",
            "users/bob/+",
            "users/+/progress",
            "users/bob/progress/#",
            "users/bob/progress/x",
            "users/bob",
            "users/bob/notifications",
            "users/Bob/progress",
            "/users/bob/progress",
            "$share/g/users/bob/progress",
        ] {
            assert_eq!(of(filter), None, "{filter}");
        }
    }
}
