//! Small things that one notices when they are missing: where the focus is, what is read out, what is not lost.

use crate::{browser::run, world::World};

#[tokio::test]
async fn what_is_pressed_keeps_the_focus_or_hands_it_on() {
    run("careful", "focus", &mut World::start(600_000).await).await;
}

#[tokio::test]
async fn what_becomes_of_sends_is_read_out() {
    let mut world = World::with_service(0, &[]).await;
    run("careful", "announced", &mut world).await;
}

#[tokio::test]
async fn what_was_written_is_not_lost_and_can_be_taken_back_while_it_waits() {
    run("careful", "unsent", &mut World::start(0).await).await;
}

#[tokio::test]
async fn the_light_says_what_is_so_and_what_the_server_refuses() {
    run("careful", "connectionLight", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_page_that_cannot_be_fetched_offers_to_load_the_app_again() {
    run("careful", "unfetched", &mut World::start(0).await).await;
}

#[tokio::test]
async fn the_warning_of_the_default_password_leads_to_it_and_ends_with_it() {
    run("careful", "warned", &mut World::start(0).await).await;
}

#[tokio::test]
async fn toasts_are_over_dialogs_and_a_refused_copy_says_so() {
    run("careful", "toasts", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_page_that_found_its_server_asks_no_more() {
    run("careful", "found", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_history_without_end_ends_and_says_so() {
    run("careful", "endless", &mut World::start(0).await).await;
}
