//! What an administrator does with users, access rules, the audit and the live tap.

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
async fn the_last_administrator_stays_one_and_is_told_why() {
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
