//! What an administrator does with users, access rules, the audit and the live messages.

use crate::{browser::run, world::World};

#[tokio::test]
async fn an_account_is_made_given_a_role_and_a_password_locked_and_let_in_again() {
    run("oversee", "users", &mut World::start(0).await).await;
}

#[tokio::test]
async fn an_account_is_deleted_by_who_types_its_name() {
    run("oversee", "deleting", &mut World::start(0).await).await;
}

#[tokio::test]
async fn the_last_administrator_stays_one_and_the_page_says_why() {
    run("oversee", "lastAdministrator", &mut World::start(0).await).await;
}

#[tokio::test]
async fn many_accounts_come_page_by_page() {
    run("oversee", "many", &mut World::start(0).await).await;
}

#[tokio::test]
async fn an_access_rule_is_in_force_for_who_is_connected() {
    run("oversee", "rules", &mut World::start(0).await).await;
}

#[tokio::test]
async fn the_tester_says_what_is_allowed_and_by_which_rule() {
    run("oversee", "tester", &mut World::start(0).await).await;
}

#[tokio::test]
async fn the_audit_says_what_was_done_and_no_secrets() {
    run("oversee", "audit", &mut World::start(0).await).await;
}

#[tokio::test]
async fn live_messages_show_everyones_notifications_as_they_come() {
    let mut world = World::with_service(0, &[]).await;
    run("oversee", "liveMessages", &mut world).await;
}

#[tokio::test]
async fn who_is_no_administrator_finds_nothing_and_hears_nothing() {
    run("oversee", "closed", &mut World::start(0).await).await;
}

#[tokio::test]
async fn who_is_no_longer_an_administrator_is_notified_and_sees_nothing_more() {
    run("oversee", "demoted", &mut World::start(0).await).await;
}

#[tokio::test]
async fn each_page_works_by_keyboard() {
    run("oversee", "keyboard", &mut World::start(0).await).await;
}
