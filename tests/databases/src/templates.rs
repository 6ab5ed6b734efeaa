//! Databases that others are made from, each made once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::OnceCell;

use crate::{DatabaseKind, mysql, postgres};

/// What a new database is made of: on PostgreSQL the name of the template, else the statements that make its like.
type Template = Arc<OnceCell<String>>;

/// Those of this process, by their server and hash.
static TEMPLATES: Mutex<Option<HashMap<(String, u64), Template>>> = Mutex::new(None);

/// The template on this server with this hash. Other processes may make it at the same time, and one of them does.
pub(crate) async fn get(
    kind: DatabaseKind,
    server: &str,
    hash: u64,
    migrate: impl AsyncFnOnce(&str),
) -> String {
    let template = {
        let mut templates = TEMPLATES.lock().unwrap();
        let templates = templates.get_or_insert_default();
        let template = templates.entry((server.to_owned(), hash)).or_default();
        Arc::clone(template)
    };
    let made = template.get_or_init(|| make(kind, server, hash, migrate));
    made.await.clone()
}

/// Makes it unless another process has.
async fn make(
    kind: DatabaseKind,
    server: &str,
    hash: u64,
    migrate: impl AsyncFnOnce(&str),
) -> String {
    match kind {
        DatabaseKind::Postgres => postgres::template(server, hash, migrate).await,
        _ => mysql::template(server, hash, migrate).await,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[tokio::test]
    async fn processes_that_start_at_the_same_time_make_a_template_once(
        #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb, DatabaseKind::MySql)]
        kind: DatabaseKind,
    ) {
        if !kind.is_chosen() {
            return;
        }
        let server = kind.server_url().unwrap();
        let hash = rand::random();
        let times = Cell::new(0);
        // Each has connections of its own, as a process has.
        let make = || {
            make(kind, &server, hash, async |_| {
                times.set(times.get() + 1);
                tokio::task::yield_now().await;
            })
        };
        let (a, b, c) = tokio::join!(make(), make(), make());
        assert_eq!(times.get(), 1);
        assert!(a == b && b == c, "{a} {b} {c}");
        let name = crate::names::template(hash);
        match kind {
            DatabaseKind::Postgres => postgres::drop(&server, &name).await.unwrap(),
            _ => mysql::drop(&server, &name).await.unwrap(),
        }
    }
}
