use std::time::Instant;

use herald_acl::TopicName;

use super::*;

fn message(topic: &str, payload: &str) -> Arc<Message> {
    Arc::new(Message {
        topic: TopicName::parse(topic).unwrap(),
        payload: payload.to_owned().into(),
        retain: true,
        ..Message::sample()
    })
}

fn payloads(retained: &Retained, filter: &str) -> Vec<String> {
    retained
        .matching(&TopicFilter::parse(filter).unwrap(), None, usize::MAX)
        .iter()
        .map(|m| String::from_utf8(m.payload.to_vec()).unwrap())
        .collect()
}

#[test]
fn the_last_message_of_a_topic_is_kept_until_an_empty_one_clears_it() {
    let mut retained = Retained::default();
    retained.set(&message("a/b", "1")).unwrap();
    retained.set(&message("a/b", "2")).unwrap();
    retained.set(&message("a/c", "3")).unwrap();
    assert_eq!(payloads(&retained, "a/+"), ["2", "3"]);
    retained.set(&message("a/b", "")).unwrap();
    assert_eq!(payloads(&retained, "#"), ["3"]);
    retained.set(&message("a/c", "")).unwrap();
    assert_eq!(retained.bytes, 0);
}

#[test]
fn what_is_retained_can_be_read_part_by_part() {
    let mut retained = Retained::default();
    for topic in ["a", "b", "c", "d"] {
        retained.set(&message(topic, topic)).unwrap();
    }
    let all = TopicFilter::parse("#").unwrap();
    let mut after: Option<String> = None;
    let mut read = vec![];
    loop {
        let part = retained.matching(&all, after.as_deref(), 3);
        let Some(last) = part.last() else { break };
        after = Some(last.topic.as_str().to_owned());
        read.extend(part.iter().map(|m| m.topic.as_str().to_owned()));
    }
    assert_eq!(read, ["a", "b", "c", "d"]);
}

#[test]
fn an_expired_message_is_not_delivered_and_makes_room() {
    let mut retained = Retained::default();
    for i in 0..RETAINED_MESSAGES {
        let mut m = (*message(&format!("t/{i}"), "x")).clone();
        m.expires = Some(Instant::now());
        retained.set(&Arc::new(m)).unwrap();
    }
    assert!(payloads(&retained, "#").is_empty());
    retained.set(&message("new", "y")).unwrap();
    assert_eq!(payloads(&retained, "#"), ["y"]);
}

#[test]
fn a_message_is_taken_back_and_not_the_one_that_replaced_it() {
    let mut retained = Retained::default();
    let (old, new) = (message("a", "old"), message("a", "new"));
    retained.set(&old).unwrap();
    retained.set(&new).unwrap();
    retained.take_back(&old);
    assert_eq!(payloads(&retained, "#"), ["new"]);
    retained.take_back(&new);
    retained.take_back(&new);
    assert!(payloads(&retained, "#").is_empty());
    assert_eq!((retained.bytes, retained.last_change()), (0, 3));
}

#[test]
fn past_the_bound_a_new_topic_is_refused_and_an_old_one_still_replaced() {
    let mut retained = Retained::default();
    for i in 0..RETAINED_MESSAGES {
        retained.set(&message(&format!("t/{i}"), "x")).unwrap();
    }
    assert!(retained.set(&message("new", "y")).is_err());
    retained.set(&message("t/0", "z")).unwrap();
}

fn saved(topic: &str, payload: &str) -> RetainedMessage {
    kept::to_kept(&message(topic, payload))
}

fn set(topic: &str, payload: &str) -> RetainedChange {
    RetainedChange::Set(saved(topic, payload))
}

fn clear(topic: &str) -> RetainedChange {
    let topic = topic.to_owned();
    RetainedChange::Clear { topic }
}

/// Saves what is to be saved.
fn save(retained: &mut Retained) -> Vec<RetainedChange> {
    let (part, changes) = retained.unsaved().unwrap();
    retained.saved(&part);
    changes
}

/// Settles what is in doubt now, of which that is saved.
fn settle(retained: &mut Retained, saved: &[RetainedMessage]) -> usize {
    let topics = retained.doubtful(10);
    let saved = saved.iter().filter(|m| topics.contains(&(*m.topic).into()));
    assert_eq!(retained.settle(&topics, saved.cloned().collect()), 0);
    topics.len()
}

#[tokio::test(start_paused = true)]
async fn what_others_save_replaces_and_clears_what_is_retained() {
    let mut retained = Retained::default();
    assert_eq!(retained.apply(vec![set("a", "1"), set("b", "2")]), 0);
    assert_eq!(payloads(&retained, "#"), ["1", "2"]);
    assert_eq!(retained.apply(vec![set("a", "3"), clear("b")]), 0);
    assert_eq!(payloads(&retained, "#"), ["3"]);
    assert!(retained.unsaved().is_none(), "it is saved");
    assert_eq!(retained.apply_all(vec![saved("c", "4")]), 0);
    assert_eq!(payloads(&retained, "#"), ["4"]);
    assert_eq!(settle(&mut retained, &[]), 0, "nothing is in doubt");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_saved_yet_stays_and_is_read_once_it_is() {
    let mut retained = Retained::default();
    retained.set(&message("a", "here")).unwrap();
    // Which of the two was saved last nobody here can know.
    retained.apply(vec![set("a", "there")]);
    assert_eq!(payloads(&retained, "#"), ["here"]);
    assert_eq!(settle(&mut retained, &[saved("a", "there")]), 0);
    save(&mut retained);
    assert_eq!(settle(&mut retained, &[saved("a", "there")]), 1);
    assert_eq!(payloads(&retained, "#"), ["there"]);
    assert_eq!(settle(&mut retained, &[]), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_elsewhere_is_retained_until_it_is_known_what_was_saved() {
    let mut retained = Retained::default();
    retained.apply(vec![set("late", "new"), set("same", "0"), set("lost", "0")]);
    for (topic, payload) in [("late", "old"), ("same", "1"), ("lost", ""), ("fresh", "1")] {
        retained.provisional(&message(topic, payload));
    }
    assert_eq!(payloads(&retained, "#"), ["1", "old", "1"]);
    // What was saved before does not come back for a moment, and what is confirmed is not read.
    retained.apply(vec![set("fresh", "0"), set("fresh", "1"), set("same", "1")]);
    assert_eq!(payloads(&retained, "#"), ["1", "old", "1"]);
    assert_eq!(settle(&mut retained, &[]), 0, "it is too early");
    tokio::time::advance(PROVISIONAL).await;
    let left = [saved("late", "new"), saved("lost", "0")];
    assert_eq!(settle(&mut retained, &left), 2);
    assert_eq!(payloads(&retained, "#"), ["1", "new", "0", "1"]);
    assert!(retained.unsaved().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_saved_when_it_was_cut_off_is_given_up() {
    let mut retained = Retained::default();
    retained.apply(vec![set("a", "saved"), set("b", "saved")]);
    retained.set(&message("a", "unsaved")).unwrap();
    let change = retained.set(&message("b", "")).unwrap().unwrap();
    assert_eq!(retained.give_up(), change);
    assert!(retained.unsaved().is_none());
    let left = [saved("a", "saved"), saved("b", "saved")];
    assert_eq!(settle(&mut retained, &left), 2);
    assert_eq!(payloads(&retained, "#"), ["saved", "saved"]);
}

#[tokio::test(start_paused = true)]
async fn others_may_have_saved_twice_as_much_and_no_more() {
    let mut retained = Retained::default();
    let many = (0..2 * RETAINED_MESSAGES).map(|i| set(&format!("t/{i}"), "x"));
    assert_eq!(retained.apply(many.collect()), 0);
    assert_eq!(retained.apply(vec![set("t/0", "y"), set("new", "y")]), 1);
    assert_eq!(payloads(&retained, "t/0"), ["y"]);
    assert_eq!(payloads(&retained, "new"), [""; 0]);
    assert!(retained.set(&message("own", "x")).is_err());
    retained.provisional(&message("new", "x"));
    assert_eq!(payloads(&retained, "new"), [""; 0]);
}
