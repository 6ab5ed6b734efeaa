//! Two users in one browser: what is one's is never the other's.

use crate::{browser::run, world::World};

#[tokio::test]
async fn a_tab_whose_user_another_tab_replaced_shows_nothing_of_the_former() {
    run("identity", "tabs", &mut World::start(0).await).await;
}

#[tokio::test]
async fn an_answer_that_comes_after_signing_out_is_nobodys() {
    run("identity", "late", &mut World::start(0).await).await;
}

#[tokio::test]
async fn who_signs_in_on_another_page_is_noticed_by_the_app() {
    run("identity", "elsewhere", &mut World::start(0).await).await;
}

#[tokio::test]
async fn a_new_session_of_the_same_user_disturbs_nothing() {
    run("identity", "again", &mut World::start(0).await).await;
}

#[tokio::test]
async fn signing_out_leaves_nothing_in_the_browser() {
    run("identity", "traces", &mut World::start(600_000).await).await;
}
