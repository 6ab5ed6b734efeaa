//! Databases that cannot be opened, and what the error says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::{at, notify, user};
use herald_store::{Store, StoreError, StoreOptions};
use rstest::rstest;
use tokio::time::timeout;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(10);

async fn refused(file: &Path) -> StoreError {
    let opened = Store::open(StoreOptions::sqlite(file)).await;
    let error = opened.expect_err("the database must not open");
    let text = error.to_string();
    assert!(text.contains(&file.display().to_string()), "{text}");
    error
}

#[rstest]
#[case::plain("herald.db")]
#[case::space("with space.db")]
#[case::reserved("100%41 ?#.db")]
#[case::unicode("zoë.db")]
#[tokio::test]
async fn a_database_is_made_where_there_is_none(#[case] name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    let store = Store::open(StoreOptions::sqlite(&file)).await.unwrap();
    store.ping().await.unwrap();
    assert!(file.is_file());
    store.close().await;
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn no_one_else_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
    let store = Store::open(options).await.unwrap();
    user(&store, "ann").await;
    let mut files = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert!(files > 1, "the log is beside the database");
}

#[tokio::test]
async fn a_path_below_a_file_is_unwritable() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = refused(&dir.path().join("file").join("herald.db")).await;
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_path_in_no_directory_is_unwritable() {
    let dir = tempfile::tempdir().unwrap();
    let error = refused(&dir.path().join("missing").join("herald.db")).await;
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("check that its directory exists")
    );
}

#[tokio::test]
async fn a_directory_is_unwritable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("herald.db");
    fs::create_dir(&file).unwrap();
    let error = refused(&file).await;
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_that_may_only_be_read_is_unwritable() {
    let db = crate::common::Db::new().await;
    db.store.close().await;
    let mut options = StoreOptions::sqlite(&db.file());
    options.url = format!("{}?mode=ro", options.url).into();
    let error = Store::open(options).await.unwrap_err();
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error:?}");
}

#[tokio::test]
async fn another_file_is_not_a_database() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("herald.db");
    fs::write(&file, "a text that is not a database\n".repeat(500)).unwrap();
    let error = refused(&file).await;
    assert!(
        matches!(error, StoreError::NotADatabase { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_damaged_header_is_not_a_database() {
    let db = crate::common::Db::new().await;
    db.store.close().await;
    damage(&db.file(), 0..100);
    let error = refused(&db.file()).await;
    assert!(
        matches!(error, StoreError::NotADatabase { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_damaged_page_is_found_wherever_it_is() {
    const PAGE: usize = 4096;
    let db = crate::common::Db::new().await;
    let ann = user(&db.store, "ann").await;
    notify(&db.store, &ann.id, 50).await;
    db.store.close().await;
    let whole = fs::read(db.file()).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 10, "{pages} pages");
    // From the second on; a page of 0xff can be no page of a table or an index.
    for page in 1..pages {
        fs::write(db.file(), &whole).unwrap();
        damage(&db.file(), page * PAGE..(page + 1) * PAGE);
        let error = refused(&db.file()).await;
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "page {page}: {error:?}"
        );
        assert!(!error.to_string().contains("hello"), "{error}");
    }
    fs::write(db.file(), &whole).unwrap();
    let store = db.open_again().await;
    assert_eq!(store.position(&ann.id).await.unwrap().last.0, 50);
}

/// Larger than what is checked before it is used.
const LARGE: u64 = 65 * 1024 * 1024;

/// What `ping` says of a database that was found to be damaged in the end.
async fn found_damaged(store: &Store) -> StoreError {
    let pings = async {
        loop {
            if let Err(error @ StoreError::Corrupt { .. }) = store.ping().await {
                return error;
            }
        }
    };
    timeout(LIMIT, pings).await.expect("it is found in time")
}

#[tokio::test]
async fn a_damaged_page_of_a_large_database_is_found_while_it_is_used() {
    const PAGE: usize = 4096;
    let db = crate::common::Db::new().await;
    let ann = user(&db.store, "ann").await;
    notify(&db.store, &ann.id, 50).await;
    db.store.close().await;
    let whole = fs::read(db.file()).unwrap();
    let mut opened = 0;
    for (page, with) in (1..whole.len() / PAGE).flat_map(|page| [(page, 0xff), (page, 0)]) {
        let mut damaged = whole.clone();
        damaged[page * PAGE..(page + 1) * PAGE].fill(with);
        fs::write(db.file(), damaged).unwrap();
        enlarge(&db.file());
        let error = match Store::open(StoreOptions::sqlite(&db.file())).await {
            Ok(store) => {
                opened += 1;
                let error = found_damaged(&store).await;
                store.close().await;
                error
            }
            // What a start reads at once.
            Err(error) => error,
        };
        assert!(
            matches!(error, StoreError::Corrupt { .. } | StoreError::Database(_)),
            "page {page}: {error:?}"
        );
    }
    assert!(opened > 5, "{opened} were opened");
}

#[tokio::test]
async fn a_large_database_that_is_whole_is_used_and_closed_during_its_check() {
    let db = crate::common::Db::new().await;
    let ann = user(&db.store, "ann").await;
    notify(&db.store, &ann.id, 5).await;
    db.store.close().await;
    for _ in 0..5 {
        enlarge(&db.file());
        let store = db.open_again().await;
        notify(&store, &ann.id, 1).await;
        store.ping().await.unwrap();
        store.close().await;
    }
}

/// Adds nothing that the database uses.
fn enlarge(file: &Path) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(LARGE).unwrap();
}

#[tokio::test]
async fn a_database_cut_short_is_damaged() {
    let db = crate::common::Db::new().await;
    let ann = user(&db.store, "ann").await;
    notify(&db.store, &ann.id, 50).await;
    db.store.close().await;
    let whole = fs::read(db.file()).unwrap();
    fs::write(db.file(), &whole[..whole.len() / 2]).unwrap();
    let error = refused(&db.file()).await;
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

async fn is_replaced(store: &Store, file: &Path) {
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error, StoreError::Replaced { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&file.display().to_string()), "{text}");
    let delay = herald_store::Delay::Fixed { ms: 1 };
    let written = store.set_delay(delay, false).await;
    assert!(matches!(written, Err(StoreError::Replaced { .. })));
}

/// What is written to a file that is gone would be lost: so nothing is, until the same files are there again.
#[cfg(unix)]
#[rstest]
#[case::database("")]
#[case::log("-wal")]
#[tokio::test]
async fn a_database_that_is_deleted_or_replaced_is_not_written_any_more(#[case] ending: &str) {
    let db = crate::common::Db::new().await;
    let ann = user(&db.store, "ann").await;
    let mut file = db.file().into_os_string();
    file.push(ending);
    let (file, aside) = (Path::new(&file), db.dir.path().join("aside"));
    fs::rename(file, &aside).unwrap();
    is_replaced(&db.store, &db.file()).await;
    fs::copy(&aside, file).unwrap();
    is_replaced(&db.store, &db.file()).await;
    fs::rename(&aside, file).unwrap();
    db.store.ping().await.unwrap();
    notify(&db.store, &ann.id, 1).await;
    db.store.close().await;
    let store = db.open_again().await;
    assert_eq!(store.position(&ann.id).await.unwrap().last.0, 1);
}

#[tokio::test]
async fn the_error_of_a_damaged_database_names_logs_of_others() {
    let db = crate::common::Db::new().await;
    let ann = user(&db.store, "ann").await;
    notify(&db.store, &ann.id, 50).await;
    db.store.close().await;
    damage(&db.file(), 8 * 4096..9 * 4096);
    let text = refused(&db.file()).await.to_string();
    let log = format!("{}-wal", db.file().display());
    assert!(
        text.contains(&log) && text.contains("herald restore"),
        "{text}"
    );
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let db = crate::common::Db::new().await;
    db.store.close().await;
    db.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .await;
    let error = refused(&db.file()).await;
    assert!(
        matches!(error, StoreError::Newer { version: 9999, .. }),
        "{error:?}"
    );
}

#[rstest]
#[case::other_database("oracle://localhost/herald")]
#[case::memory("sqlite::memory:")]
#[case::path("herald.db")]
#[tokio::test]
async fn an_address_of_no_file_is_refused(#[case] url: &str) {
    let options = StoreOptions {
        url: url.into(),
        readers: 1,
        list_readers: 1,
        waiting_messages: 1,
        notification_bytes: usize::MAX,
        stored_bytes: 0,
    };
    let error = Store::open(options).await.unwrap_err();
    assert!(matches!(error, StoreError::Url { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_that_is_opened_again_keeps_what_it_has() {
    let db = crate::common::Db::new().await;
    let ann = user(&db.store, "ann").await;
    db.store.close().await;
    for _ in 0..2 {
        let store = db.open_again().await;
        assert_eq!(
            store.user_by_name(&ann.username).await.unwrap(),
            Some(ann.clone())
        );
        assert_eq!(store.next_due().await.unwrap(), None);
        assert_eq!(
            store.claim(1, crate::common::LEASE, at(0)).await.unwrap(),
            []
        );
        store.close().await;
    }
}

fn damage(file: &Path, bytes: std::ops::Range<usize>) {
    let mut content = fs::read(file).unwrap();
    content[bytes].fill(0xff);
    fs::write(file, content).unwrap();
}
