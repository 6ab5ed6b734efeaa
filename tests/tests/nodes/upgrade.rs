//! Servers whose database the next version has migrated, as in an upgrade of one after the other.

use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::{
    Herald, Http, Version,
    notified::{Notified, inbox, notified, taken},
    raw::{Connect, Raw},
};
use rstest::rstest;
use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

use crate::{database, listed, other};

/// What the next version does, beside the servers.
struct Next(AnyConnection);

impl Next {
    async fn of(database: &TestDatabase) -> Self {
        sqlx::any::install_default_drivers();
        Self(AnyConnection::connect(database.url()).await.unwrap())
    }

    async fn execute(&mut self, statement: String) {
        self.0.execute(AssertSqlSafe(statement)).await.unwrap();
    }

    /// Writes down that a migration has run.
    async fn has_run(&mut self, version: u32, name: &str) {
        let columns = "version, description, success, checksum, execution_time";
        let values = format!("{version}, '{name}', true, '', 0");
        self.execute(format!(
            "INSERT INTO _sqlx_migrations ({columns}) VALUES ({values})"
        ))
        .await;
    }

    /// A column for each table, and one table more.
    async fn adds(&mut self, kind: DatabaseKind) {
        let (text, schema) = match kind {
            DatabaseKind::Postgres => ("TEXT", "current_schema()"),
            _ => ("CHAR", "DATABASE()"),
        };
        let tables = format!(
            "SELECT CAST(table_name AS {text}) FROM information_schema.tables
             WHERE table_schema = {schema} AND table_type = 'BASE TABLE'"
        );
        let tables: Vec<String> = sqlx::query_scalar(AssertSqlSafe(tables))
            .fetch_all(&mut self.0)
            .await
            .unwrap();
        assert!(tables.len() > 15, "{tables:?}");
        for table in tables {
            if table != "_sqlx_migrations" {
                self.execute(format!("ALTER TABLE {table} ADD COLUMN added TEXT"))
                    .await;
            }
        }
        self.execute("CREATE TABLE added (id BIGINT PRIMARY KEY)".into())
            .await;
        self.has_run(9000, "add_added").await;
    }
}

/// What a client has heard, whose messages have these texts.
async fn hears(phone: &mut Raw, alice: &Http, first: i64, texts: &[&str]) {
    let mut expected: Vec<Notified> = vec![];
    for (seq, text) in (first..).zip(texts) {
        let id = alice.send_message(text).await;
        alice.processed(&id).await;
        expected.push(notified(seq, text));
    }
    assert_eq!(taken(phone, texts.len()).await, expected);
}

#[rstest]
#[tokio::test]
async fn servers_go_on_and_start_on_what_the_next_version_has_added_to(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let stays = other(&database).await;
    let admin = stays.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.create_user("alice", "user").await;
    let mut starts_again = other(&database).await;
    let alice = stays.http("alice").await;
    let connect = Connect::kept("alice");
    let subscribed = async |herald: &Herald| {
        let mut phone = Raw::connect_as(herald, Version::V5, &connect).await;
        assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
        phone
    };
    let mut phone = subscribed(&starts_again).await;
    hears(&mut phone, &alice, 1, &["before"]).await;

    let mut next = Next::of(&database).await;
    next.adds(kind).await;
    hears(&mut phone, &alice, 2, &["beside it", "and again"]).await;
    admin.create_user("bob", "user").await;
    let (token, _) = alice.token_with_id(&["mqtt"]).await;
    alice.delete(&format!("/tokens/{token}")).await.expect(204);

    // As after a crash, or when the upgrade is taken back.
    starts_again.restart().await;
    starts_again.logged("has added to the database", 1).await;
    let mut phone = subscribed(&starts_again).await;
    hears(&mut phone, &alice, 4, &["from a new start"]).await;
    assert_eq!(listed(&stays).await.len(), 2);
    starts_again.cli(&["check-config"]).succeed().await;

    // What does more than that is not for this version.
    next.has_run(9001, "change_added").await;
    hears(&mut phone, &alice, 5, &["as long as it runs"]).await;
    let (code, errors) = Herald::stopped_on_database(&database, &[])
        .begin_in_vain()
        .await;
    assert_eq!(code, 1, "{errors}");
    let told = "by a newer version of Herald (migration 9001) so that this one cannot use it; start that version";
    assert!(errors.contains(told), "{errors}");
    next.0.close().await.unwrap();
}
