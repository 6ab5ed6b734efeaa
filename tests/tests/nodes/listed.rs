//! `herald nodes`.

use herald_test_databases::DatabaseKind;
use herald_tests::Herald;
use rstest::rstest;
use sqlx::{AnyConnection, Connection as _, Executor as _};

use crate::{database, other};

#[rstest]
#[tokio::test]
async fn servers_are_listed_with_their_leases(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut servers = [other(&database).await, other(&database).await];
    let list = servers[0].cli(&["nodes"]).succeed().await;
    assert_eq!(list.lines().count(), 2, "{list}");
    for line in list.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let [id, name, version, since, lease] = columns[..] else {
            panic!("{line}");
        };
        assert!(id.len() == 36 && !name.is_empty(), "{line}");
        assert_eq!(version, servers[0].run().version);
        assert!(since.starts_with("since 20"), "{line}");
        assert!(lease.starts_with("lease until 20"), "{line}");
    }
    servers[0].stop().await;
    let list = servers[1].cli(&["nodes"]).succeed().await;
    assert_eq!(list.lines().count(), 1, "{list}");
    servers[1].stop().await;
    assert_eq!(servers[1].cli(&["nodes"]).succeed().await, "");
}

#[tokio::test]
async fn of_a_file_the_server_that_has_it_is_listed() {
    let mut herald = Herald::stopped_on_file(&[]);
    herald.begin().await;
    let list = herald.cli(&["nodes"]).succeed().await;
    let process = format!("process {}\t", herald.run().pid);
    assert!(list.starts_with(&process), "{list}");
    assert!(
        list.contains("no lease") && list.lines().count() == 1,
        "{list}"
    );
    // It leaves run.json behind.
    herald.kill().await;
    assert_eq!(herald.cli(&["nodes"]).succeed().await, "");
}

#[rstest]
#[tokio::test]
async fn a_server_with_an_authority_of_its_own_does_not_join_those_of_other_machines(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    // Its machine is this one.
    let mut herald = other(&database).await;
    let mut second = other(&database).await;
    herald.stop().await;
    sqlx::any::install_default_drivers();
    let mut elsewhere = AnyConnection::connect(database.url()).await.unwrap();
    let machine = "UPDATE nodes SET name = 'elsewhere'";
    elsewhere.execute(machine).await.unwrap();
    let (code, errors) = herald.begin_in_vain().await;
    assert_eq!(code, 1);
    assert!(errors.contains("tls.mode = \"files\""), "{errors}");
    herald.begin_with(&[("HERALD_TLS__MODE", "off")]).await;
    second.stop().await;
}
