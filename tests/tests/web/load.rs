//! Many messages.

use crate::{browser::run_alone, world::World};

#[tokio::test]
async fn ten_thousand_messages_scroll_and_200_notifications_a_second_do_not_freeze_the_page() {
    run_alone("load", &mut World::start(0).await).await;
}
