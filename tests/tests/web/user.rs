//! Everything that a user does.

use crate::{browser::run, world::World};

#[tokio::test]
async fn one_signs_in_and_out_and_the_next_user_sees_nothing_of_it() {
    run("user", "signing", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_message_is_seen_on_its_way_without_polling() {
    run("user", "sending", &mut World::start(8000).await).await;
}

#[tokio::test]
async fn what_fails_says_why_and_is_never_sent_twice() {
    let mut world = World::with_service(0, &[]).await;
    run("user", "failures", &mut world).await;
}

#[tokio::test]
async fn the_history_has_details_filters_and_pages_and_what_waits_can_be_cancelled() {
    let mut world = World::with_service(0, &[]).await;
    run("user", "history", &mut world).await;
}

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    run("user", "tokens", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_session_that_ended_says_so_and_goes_on_where_it_was() {
    run("user", "password", &mut World::start(0).await).await;
}

#[tokio::test]
async fn who_may_registers() {
    let mut world = World::start_with(0, &[("HERALD_AUTH__REGISTRATION", "open")]).await;
    run("user", "registering", &mut world).await;
}

#[tokio::test]
async fn a_closed_registration_says_so() {
    run("user", "closed", &mut World::start(0).await).await;
}

#[tokio::test]
async fn all_can_be_done_by_keyboard() {
    run("user", "keyboard", &mut World::start(0).await).await;
}

#[tokio::test]
async fn the_browser_notifies_who_is_elsewhere() {
    run("user", "notified", &mut World::start(0).await).await;
}
