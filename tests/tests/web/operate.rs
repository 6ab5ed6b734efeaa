//! What an administrator does with the delay, the queue and the connections.

use crate::{browser::run, world::World};

#[tokio::test]
async fn a_new_delay_takes_effect_while_a_user_and_another_administrator_watch() {
    run("operate", "delay", &mut World::start(0).await).await;
}

#[tokio::test]
async fn one_user_waits_longer_than_the_others() {
    run("operate", "overrides", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_queue_that_is_paused_keeps_what_comes_and_the_charts_tell_what_was_done() {
    run("operate", "queue", &mut World::start(0).await).await;
}

#[tokio::test]
async fn failed_messages_are_read_and_retried_one_or_all() {
    let mut world = World::with_service(0, &[]).await;
    run("operate", "dead", &mut world).await;
}

#[tokio::test]
async fn hundreds_of_failed_messages_are_retried_in_steps_which_can_be_stopped() {
    let mut world = World::with_service(0, &[]).await;
    run("operate", "deadMany", &mut world).await;
}

#[tokio::test]
async fn connections_are_seen_and_kicked() {
    run("operate", "connections", &mut World::start(0).await).await;
}

#[tokio::test]
async fn the_default_password_is_warned_of_until_it_is_changed() {
    run("operate", "warning", &mut World::start(0).await).await;
}

#[tokio::test]
async fn an_administrator_needs_no_mouse() {
    let mut world = World::with_service(60_000, &[]).await;
    run("operate", "keyboard", &mut world).await;
}

#[tokio::test]
async fn axe_finds_nothing_in_dialogs_and_what_is_unfolded() {
    let mut world = World::with_service(60_000, &[]).await;
    run("operate", "looks", &mut world).await;
}
