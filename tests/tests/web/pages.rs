//! Every page, looked at.

use crate::{browser::run, world::World};

#[tokio::test]
async fn axe_finds_nothing_on_any_page_in_light_and_dark() {
    let open = ("HERALD_AUTH__REGISTRATION", "open");
    let mut world = World::with_service(2000, &[open]).await;
    run("pages", "", &mut world).await;
}
