//! Which database to open, and how.

use std::path::Path;

use crate::DatabaseUrl;

/// Which database to open, and how.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The address of the database: `sqlite:///absolute/path/herald.db`, in which `%`, `?` and `#`
    /// of the path are percent-encoded, `postgres://USER@HOST:PORT/DATABASE` or `mysql://USER@HOST:PORT/DATABASE`.
    pub url: DatabaseUrl,
    /// How many connections read beside the one that writes, for all but lists; at least one.
    pub readers: u32,
    /// How many connections read lists; at least one.
    pub list_readers: u32,
    /// How many messages of one user may wait or be worked on at a time. Sending more is refused.
    pub waiting_messages: u32,
    /// How many bytes may be kept of one user: of texts, and a fixed number for each message, attempt and notification.
    /// Sending what would make more of it is refused; a result never is. 0: any number.
    pub stored_bytes: u64,
    /// How many bytes of JSON a notification has at most; [`StoreOptions::LEAST_NOTIFICATION_BYTES`] in any case. Texts that
    /// there is no room for are left out.
    pub notification_bytes: usize,
}

impl StoreOptions {
    /// What a notification may have in any case, in bytes: all that is never left out, and some text.
    pub const LEAST_NOTIFICATION_BYTES: usize = 1024;

    /// How many messages of one user may wait if nothing else is asked for.
    pub const DEFAULT_WAITING_MESSAGES: u32 = 100_000;

    /// How many bytes may be kept of one user if nothing else is asked for: 1 GiB.
    pub const DEFAULT_STORED_BYTES: u64 = 1 << 30;

    /// How many connections read if nothing else is asked for.
    pub const DEFAULT_READERS: u32 = 4;

    /// How many connections read lists if nothing else is asked for.
    pub const DEFAULT_LIST_READERS: u32 = 2;

    /// The options for the SQLite database `file`, which need not exist. A relative path is one
    /// from the current directory; a path that is not UTF-8 is not supported.
    #[must_use]
    pub fn sqlite(file: &Path) -> Self {
        let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let path = path.to_string_lossy().replace('%', "%25");
        let path = path.replace('?', "%3F").replace('#', "%23");
        Self::at(format!("sqlite://{path}").into())
    }

    /// The options for the database at `url`.
    #[must_use]
    pub fn at(url: DatabaseUrl) -> Self {
        Self {
            url,
            readers: Self::DEFAULT_READERS,
            list_readers: Self::DEFAULT_LIST_READERS,
            waiting_messages: Self::DEFAULT_WAITING_MESSAGES,
            stored_bytes: Self::DEFAULT_STORED_BYTES,
            notification_bytes: usize::MAX,
        }
    }
}
