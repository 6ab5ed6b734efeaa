//! Small things that annoy where they are missing.

use crate::{browser::run, world::World};

#[tokio::test]
async fn what_is_not_sent_yet_can_be_given_up_and_survives_a_new_load() {
    run("careful", "unsent", &mut World::start(0).await).await;
}

#[tokio::test]
async fn what_became_of_a_message_is_read_out() {
    let mut world = World::with_service(0, &[]).await;
    run("careful", "announced", &mut world).await;
}

#[tokio::test]
async fn the_focus_and_the_news_are_where_the_reader_is() {
    run("careful", "places", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_page_that_cannot_be_fetched_can_be_loaded_again() {
    run("careful", "chunk", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_connection_that_is_refused_says_why() {
    run("careful", "refused", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_page_that_found_its_server_asks_no_more() {
    run("careful", "found", &mut World::start(0).await).await;
}
