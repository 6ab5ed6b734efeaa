//! Where the database of a run is.

use std::fs;
use std::path::Path;

use herald_acl::Role;
use herald_store::{CreateUser, Delay, Store, StoreOptions, Timestamp};
use herald_test_databases::{DatabaseKind, TestDatabase};
use sqlx::{AnyConnection, Connection as _};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::model::{MAX_OPEN, MAX_STORED};
use crate::steps::USERS;

/// The file in its folder, and its log beside it.
const FILE: &str = "herald.db";

/// The number of the template with the users.
const TEMPLATE: u64 = 0x6d_6f_64_65_6c;

/// The bytes of a file with the users, who would take most of the time if each run made its own.
static FILE_TEMPLATE: OnceCell<Vec<u8>> = OnceCell::const_new();

/// A database that is there until this is dropped.
pub(crate) enum ModelDatabase {
    Folder(TempDir),
    Server(TestDatabase),
}

impl ModelDatabase {
    /// A database of this kind, which was chosen, with the users.
    pub(crate) async fn new(kind: DatabaseKind) -> Self {
        if kind != DatabaseKind::Sqlite {
            let made = TestDatabase::make(kind, TEMPLATE, async |url| fill(url).await);
            return Self::Server(made.await.unwrap());
        }
        let template = FILE_TEMPLATE.get_or_init(async || {
            let dir = TempDir::new().unwrap();
            fill(&url(dir.path())).await;
            fs::read(dir.path().join(FILE)).unwrap()
        });
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(FILE), template.await).unwrap();
        Self::Folder(dir)
    }

    /// A store, and a connection that looks at the tables beside it.
    pub(crate) async fn open(&self) -> (Store, AnyConnection) {
        let url = match self {
            Self::Folder(dir) => url(dir.path()),
            Self::Server(database) => database.url().to_owned(),
        };
        let store = open(&url).await;
        (store, AnyConnection::connect(&url).await.unwrap())
    }

    /// What a process leaves that is killed now: the files as they are, elsewhere; `None` if it is what the server has.
    pub(crate) fn left(&self) -> Option<Self> {
        let Self::Folder(from) = self else {
            return None;
        };
        let to = TempDir::new().unwrap();
        for file in fs::read_dir(from.path()).unwrap() {
            let file = file.unwrap();
            // The one beside the log is rebuilt from it.
            if !file.file_name().to_string_lossy().ends_with("-shm") {
                fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
            }
        }
        Some(Self::Folder(to))
    }
}

fn url(dir: &Path) -> String {
    format!("sqlite://{}", dir.join(FILE).display())
}

async fn open(url: &str) -> Store {
    let options = StoreOptions {
        waiting_messages: MAX_OPEN as u32,
        stored_bytes: MAX_STORED as u64,
        readers: 1,
        ..StoreOptions::at(url.into())
    };
    Store::open(options).await.unwrap()
}

/// Makes the users, and takes the delay away.
async fn fill(url: &str) {
    let store = open(url).await;
    for number in 0..USERS {
        let name = format!("user{number}").parse().unwrap();
        let now = Timestamp::from_millis(0);
        let created = store.create_user(&name, Role::User, "", now).await;
        assert!(matches!(created.unwrap(), CreateUser::Created(_)), "{name}");
    }
    let delay = Delay::Fixed { ms: 0 };
    store.set_delay(delay, false).await.unwrap();
    store.close().await;
}
