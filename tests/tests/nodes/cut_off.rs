//! A server whose database does not answer for a while.

use herald_test_databases::{CuttingProxy, DatabaseKind};
use herald_tests::{
    Version,
    notified::inbox,
    raw::{Connect, Raw},
    until,
};
use rstest::rstest;

use crate::{CUT_OFF, database, listed, ready, service::Service, serving};

#[rstest]
#[tokio::test]
async fn a_server_that_is_cut_off_ends_sessions_and_comes_back_by_itself(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let proxy = CuttingProxy::start(kind, database.url()).await;
    let service = Service::start().await;
    service.answer();
    let herald = serving(&database, &service, proxy.url()).await;
    let before = listed(&herald).await;
    assert_eq!(ready(&herald).await.status, 200);
    let mut phones = vec![];
    for version in Version::BOTH {
        let mut phone = Raw::connect(&herald, version, "alice").await;
        assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
        phones.push((phone, version));
    }
    proxy.hold();
    for (phone, version) in &mut phones {
        let told = (*version == Version::V5).then_some(0x89);
        assert_eq!(phone.ended().await, told, "{version:?}");
    }
    let not_ready = ready(&herald).await;
    not_ready.expect_problem(503, "not_ready");
    assert!(not_ready.text.contains(CUT_OFF), "{not_ready:?}");
    for (version, refused) in [(Version::V311, 3), (Version::V5, 0x89)] {
        let code = Raw::connect_code(&herald, version, &Connect::of("alice")).await;
        assert_eq!(code, refused, "{version:?}");
    }
    proxy.release();
    until("/readyz to be well", async || {
        (ready(&herald).await.status == 200).then_some(())
    })
    .await;
    let after = listed(&herald).await;
    assert!(!after.contains(&before[0]), "it is another one: {after:?}");
    let mut phone = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    let alice = herald.http("alice").await;
    let id = alice.send_message("again").await;
    alice.processed(&id).await;
    assert_eq!(phone.take().await.topic, inbox("alice"));
    let log = herald.stderr();
    assert!(log.contains("cut off from the other servers"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}
