//! The topics that have a meaning of their own: those below `users/` (inboxes, progress, sends) and `$SYS`. All others are
//! *shared*: a message to them goes to whoever subscribes.

use crate::filter::TopicFilter;
use crate::topic::TopicName;
use crate::username::Username;

/// The longest filter of a subscription, in bytes. MQTT allows 65,535 (MQTT 5 section 4.7.3); a session keeps many.
pub const FILTER_BYTES: usize = 1024;

/// First level of inboxes, progress and sends.
const USERS: &str = "users";

/// First level of what a broker publishes about itself.
const SYS: &str = "$SYS";

/// Last level of the topic of a user's progress.
const PROGRESS: &str = "progress";

/// `users/{username}/notifications`.
#[must_use]
pub fn inbox(username: &Username) -> TopicName {
    TopicName::parse(format!("{USERS}/{username}/notifications"))
        .expect("a username is a valid topic level")
}

/// `users/{username}/progress`.
#[must_use]
pub fn progress(username: &Username) -> TopicName {
    TopicName::parse(format!("{USERS}/{username}/{PROGRESS}"))
        .expect("a username is a valid topic level")
}

/// The user of `users/{username}/progress`, if `filter` is exactly that: no wildcard matches progress.
#[must_use]
pub fn progress_owner(filter: &TopicFilter) -> Option<Username> {
    let mut levels = filter.as_str().split('/');
    let (users, name, progress) = (levels.next()?, levels.next()?, levels.next()?);
    let is_progress = users == USERS && progress == PROGRESS && levels.next().is_none();
    is_progress.then(|| Username::parse(name).ok()).flatten()
}

/// Whether `topic` is one of progress, which only a subscription to exactly this topic gets.
#[must_use]
pub fn is_progress(topic: &TopicName) -> bool {
    let mut levels = topic.levels();
    levels.next() == Some(USERS) && levels.nth(1) == Some(PROGRESS) && levels.next().is_none()
}

/// The response information of CONNACK (MQTT 5 section 3.2.2.3.15): below it a user gets responses.
#[must_use]
pub fn responses(username: &Username) -> String {
    format!("responses/{username}")
}

/// Where a message goes that a client publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// `users/{me}/messages`: it is queued and processed.
    Send,
    /// `$SYS/broker/connection/...`, where mosquitto's bridges publish their state: accepted from everyone, and dropped.
    BridgeState,
    /// A shared topic: it goes to subscribers.
    Shared,
}

/// Where a PUBLISH by `username` to `topic` goes; `None` for other topics below `users/` or that start with `$`, to which nobody
/// may publish.
pub(crate) fn destination(topic: &TopicName, username: &Username) -> Option<Destination> {
    let mut levels = topic.levels();
    match levels.next()? {
        USERS => {
            let own = levels.eq([username.as_str(), "messages"]);
            own.then_some(Destination::Send)
        }
        SYS if levels.next() == Some("broker") && levels.next() == Some("connection") => {
            Some(Destination::BridgeState)
        }
        first if first.starts_with('$') => None,
        _ => Some(Destination::Shared),
    }
}

/// Whether `filter` can match shared topics.
#[must_use]
pub fn touches_shared(filter: &TopicFilter) -> bool {
    match filter.levels().next() {
        Some(first) => first != USERS && !first.starts_with('$'),
        None => false,
    }
}

/// Whether `filter` can match topics of `$SYS`.
#[must_use]
pub fn touches_sys(filter: &TopicFilter) -> bool {
    filter.levels().next() == Some(SYS)
}

/// Whether all that `filter` can match is below `users/`.
#[must_use]
pub fn is_below_users(filter: &TopicFilter) -> bool {
    filter.levels().next() == Some(USERS)
}

/// Whether the inner filter of a shared subscription matches what a group can share.
pub(crate) fn is_shareable(filter: &TopicFilter) -> bool {
    !is_below_users(filter) && !touches_sys(filter)
}

/// Whether `filter` can match what is another user's below `users/`. A shared subscription cannot: it gets messages of shared
/// topics only, whatever its filter matches.
#[must_use]
pub fn reaches_others(filter: &TopicFilter, username: &Username) -> bool {
    let mut levels = filter.levels();
    !filter.is_shared()
        && match levels.next() {
            Some("+" | "#") => true,
            Some(USERS) => levels.next() != Some(username.as_str()),
            _ => false,
        }
}

/// Whether `topic` is below `users/` and not the user's own.
pub(crate) fn is_of_another(topic: &TopicName, username: &Username) -> bool {
    let mut levels = topic.levels();
    levels.next() == Some(USERS) && levels.next() != Some(username.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dest(topic: &str) -> Option<Destination> {
        destination(
            &TopicName::parse(topic).unwrap(),
            &Username::parse("bob").unwrap(),
        )
    }

    #[test]
    fn only_ones_own_messages_topic_is_a_send() {
        assert_eq!(dest("users/bob/messages"), Some(Destination::Send));
        for topic in [
            "users/alice/messages",
            "users/bob/messages/x",
            "users/bob/notifications",
            "users/bob/progress",
            "users",
            "users/bob",
            "$SYS/x",
        ] {
            assert_eq!(dest(topic), None, "{topic}");
        }
        assert_eq!(dest("$SYS/broker/x"), None);
        let bridge = dest("$SYS/broker/connection/home/state");
        assert_eq!(bridge, Some(Destination::BridgeState));
        assert_eq!(dest("broadcast/x"), Some(Destination::Shared));
        assert_eq!(dest("/users/bob/messages"), Some(Destination::Shared));
    }

    #[test]
    fn progress_is_for_its_exact_topic_alone() {
        let of = |filter: &str| progress_owner(&TopicFilter::parse(filter).unwrap());
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
