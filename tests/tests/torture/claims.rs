//! Claims, as the database sees them.

use herald_test_databases::{DatabaseKind, TestDatabase};
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};

/// How far the clocks of servers may be from the database's, in ms.
const CLOCKS: i64 = 250;

/// Notes each message that is taken from whoever processes it: how much of its lease was left, and whether that server stood.
const POSTGRES: [&str; 3] = [
    "CREATE TABLE taken_back (message_id TEXT NOT NULL, left_ms BIGINT NOT NULL, stands BIGINT NOT NULL)",
    "CREATE FUNCTION note_taken_back() RETURNS trigger LANGUAGE plpgsql AS $$
     DECLARE
         now_ms BIGINT := CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT);
     BEGIN
         INSERT INTO taken_back VALUES (OLD.id, OLD.lease_until - now_ms, (
             SELECT COUNT(*) FROM nodes WHERE id = split_part(OLD.lease, '.', 1) AND lease_until > now_ms));
         RETURN NULL;
     END $$",
    "CREATE TRIGGER taken_back AFTER UPDATE ON messages FOR EACH ROW
     WHEN (OLD.status = 'processing' AND NEW.status IN ('queued', 'processing') AND NEW.lease IS DISTINCT FROM OLD.lease)
     EXECUTE FUNCTION note_taken_back()",
];
const MARIADB: [&str; 2] = [
    "CREATE TABLE taken_back (message_id VARCHAR(64) NOT NULL, left_ms BIGINT NOT NULL, stands BIGINT NOT NULL)",
    "CREATE TRIGGER taken_back AFTER UPDATE ON messages FOR EACH ROW
     BEGIN
         DECLARE now_ms BIGINT DEFAULT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED);
         IF OLD.status = 'processing' AND NEW.status IN ('queued', 'processing') AND NOT (NEW.lease <=> OLD.lease) THEN
             INSERT INTO taken_back VALUES (OLD.id, OLD.lease_until - now_ms, (
                 SELECT COUNT(*) FROM nodes WHERE id = SUBSTRING_INDEX(OLD.lease, '.', 1) AND lease_until > now_ms));
         END IF;
     END",
];

/// Watches them.
pub(crate) struct Claims(String);

impl Claims {
    /// From now on. Nobody puts a message back that is being processed, unless processing fails or a server is stopped in peace:
    /// neither is done here.
    pub(crate) async fn watch(database: &TestDatabase) -> Self {
        let statements: &[&str] = match database.kind() {
            DatabaseKind::Postgres => &POSTGRES,
            _ => &MARIADB,
        };
        let claims = Self(database.url().to_owned());
        let mut beside = claims.connect().await;
        for statement in statements {
            beside.execute(*statement).await.unwrap();
        }
        claims
    }

    async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.0).await.unwrap()
    }

    /// No message was claimed, or put back to be, while another server had it that stood and whose lease had not ended.
    pub(crate) async fn none_was_taken_from_who_had_it(&self) {
        let mut beside = self.connect().await;
        let all = beside.fetch_all("SELECT message_id, left_ms, stands FROM taken_back");
        let all = all.await.unwrap();
        for row in &all {
            let (left, stands): (i64, i64) = (row.get("left_ms"), row.get("stands"));
            let id: String = row.get("message_id");
            assert!(left < CLOCKS || stands == 0, "{id}: {left} ms were left");
        }
        eprintln!("{} messages were taken back", all.len());
    }
}
