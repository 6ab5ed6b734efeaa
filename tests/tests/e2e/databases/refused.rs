//! What is wrong with an address, a user or a database.

use herald_test_databases::DatabaseKind;
use rstest::rstest;

use super::{Database, each_refused, herald, refused};

/// The password of users that the tests make. It has what a server may ask of one.
const PASSWORD: &str = "S3cret-of-a-test";

impl Database {
    /// A name that is short enough everywhere.
    fn user_name(&self) -> String {
        format!("u_{}", self.name().rsplit('_').next().unwrap())
    }

    /// Makes a user who may do nothing but connect and read, and returns the address for that user.
    async fn user(&mut self) -> String {
        let (user, name) = (self.user_name(), self.name().to_owned());
        let (scheme, statements) = match self.kind() {
            DatabaseKind::Postgres => (
                "postgres",
                format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'"),
            ),
            _ => (
                "mysql",
                format!(
                    "CREATE USER {user} IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON {name}.* TO {user}"
                ),
            ),
        };
        self.execute(&statements).await;
        let (_, place) = self.url().rsplit_once('@').unwrap();
        format!("{scheme}://{user}:{PASSWORD}@{place}")
    }

    /// Gives the user what Herald needs, as the refusal advises.
    async fn grant(&mut self) {
        let (user, name) = (self.user_name(), self.name().to_owned());
        let grant = match self.kind() {
            DatabaseKind::Postgres => format!("ALTER DATABASE {name} OWNER TO {user}"),
            _ => format!("GRANT ALL PRIVILEGES ON {name}.* TO {user}"),
        };
        self.execute(&grant).await;
    }

    async fn forget_user(&mut self) {
        let (user, name) = (self.user_name(), self.name().to_owned());
        let statements = match self.kind() {
            DatabaseKind::Postgres => format!(
                "ALTER DATABASE {name} OWNER TO CURRENT_USER; DROP OWNED BY {user} CASCADE; DROP ROLE {user}"
            ),
            _ => format!("DROP USER {user}"),
        };
        self.execute(&statements).await;
    }
}

#[tokio::test]
async fn an_unknown_host_is_told() {
    let url = format!("postgres://me:{PASSWORD}@nowhere.invalid/herald");
    refused(&url, "its host is unknown; correct it in database.url").await;
}

#[rstest]
#[tokio::test]
async fn a_wrong_password_is_told(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some(mut database) = Database::new(kind).await else {
        return;
    };
    let url = database.user().await;
    let wrong = url.replace(PASSWORD, "another-s3cret");
    let advice = "correct database.url or database.password_file";
    refused(&wrong, advice).await;
    database.forget_user().await;
    // The same for a user who is not there.
    refused(&url, advice).await;
}

#[rstest]
#[tokio::test]
async fn a_missing_database_is_told(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some(database) = Database::new(kind).await else {
        return;
    };
    let url = database.url().replace(database.name(), "not_there");
    refused(&url, "create it (CREATE DATABASE)").await;
}

#[rstest]
#[tokio::test]
async fn a_user_who_may_not_create_tables_is_told(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some(mut database) = Database::new(kind).await else {
        return;
    };
    let url = database.user().await;
    let advice = match kind {
        DatabaseKind::Postgres => "make it the owner of the database",
        _ => "grant it all of the database",
    };
    refused(&url, advice).await;
    // Which is all it takes.
    database.grant().await;
    let listed = herald(&["admin", "list"], &url).await;
    assert_eq!(listed.code, 0, "{listed:?}");
    database.forget_user().await;
}

#[tokio::test]
async fn a_database_that_only_reads_is_told() {
    let Some(mut database) = Database::new(DatabaseKind::Postgres).await else {
        return;
    };
    let name = database.name().to_owned();
    let statement = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    database.execute(&statement).await;
    refused(database.url(), "set default_transaction_read_only to off").await;
}

#[tokio::test]
async fn another_encoding_is_told() {
    let Some(mut database) = Database::new(DatabaseKind::Postgres).await else {
        return;
    };
    let name = format!("{}_latin1", database.name());
    let encoding = "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'";
    let statement = format!("CREATE DATABASE {name} {encoding}");
    database.execute(&statement).await;
    let url = format!("{}_latin1", database.url());
    refused(&url, "create it with ENCODING 'UTF8'").await;
    let statement = format!("DROP DATABASE {name} WITH (FORCE)");
    database.execute(&statement).await;
}

#[rstest]
#[tokio::test]
async fn a_database_of_a_newer_herald_is_told(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some(mut database) = Database::new(kind).await else {
        return;
    };
    let made = herald(&["admin", "list"], database.url()).await;
    assert_eq!(made.code, 0, "{made:?}");
    let columns = "version, description, success, checksum, execution_time";
    let statement =
        format!("INSERT INTO _sqlx_migrations ({columns}) VALUES (9999, 'later', true, '', 0)");
    database.execute(&statement).await;
    refused(database.url(), "newer").await;
}

#[rstest]
#[tokio::test]
async fn a_server_is_backed_up_by_its_own_means(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
    kind: DatabaseKind,
) {
    let Some(database) = Database::new(kind).await else {
        return;
    };
    let commands: [&[&str]; 2] = [&["backup", "copy.db"], &["restore", "copy.db"]];
    let advice = "restore it there, as with pg_dump or mariadb-dump";
    each_refused(&commands, database.url(), advice).await;
}

#[rstest]
#[tokio::test]
async fn tables_with_another_collation_are_told(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some(mut database) = Database::new(kind).await else {
        return;
    };
    let table = "CREATE TABLE settings (name VARCHAR(64)) COLLATE utf8mb4_general_ci";
    database.execute(table).await;
    refused(database.url(), "convert its tables (ALTER TABLE").await;
}
