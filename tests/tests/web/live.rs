//! What stays true while things go wrong.

use crate::{browser::run, world::World};

#[tokio::test]
async fn two_users_at_once_never_see_each_others() {
    run("live", "strangers", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_page_survives_the_death_of_the_server() {
    run("live", "killed", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_page_that_is_loaded_anew_sends_what_was_not_sent() {
    run("live", "reloaded", &mut World::start(0).await).await;
}

#[tokio::test]
async fn what_a_notification_leaves_out_is_asked_for() {
    let small = ("HERALD_LIMITS__NOTIFICATION_BYTES", "1024");
    let mut world = World::start_with(0, &[small]).await;
    run("live", "omitted", &mut world).await;
}

#[tokio::test]
async fn two_tabs_show_everything_once() {
    run("live", "tabs", &mut World::start(0).await).await;
}

#[tokio::test]
async fn what_is_deleted_in_one_tab_is_gone_in_all() {
    let mut world = World::with_service(0, &[]).await;
    run("live", "deleted", &mut world).await;
}

#[tokio::test]
async fn what_happens_before_a_message_ends_is_published_and_not_asked_for() {
    let slowly = ("HERALD_WORKER__BACKOFF_MS", "30000");
    let mut world = World::with_service(0, &[slowly]).await;
    run("live", "progress", &mut world).await;
}

#[tokio::test]
async fn a_new_delay_reaches_who_waits() {
    run("live", "delayed", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_page_stays_live_when_its_token_ends() {
    run("live", "renewed", &mut World::start(0).await).await;
}
