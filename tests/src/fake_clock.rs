//! A system clock that can be set.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

/// The system's clock, as a server sees it that is started with its [`settings`](Self::settings).
pub struct FakeClock {
    folder: TempDir,
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeClock {
    /// The real one, until it is set.
    #[must_use]
    pub fn new() -> Self {
        let clock = Self {
            folder: TempDir::new().unwrap(),
        };
        clock.set("+0");
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    /// Sets it to this many seconds from the real one.
    pub fn set(&self, offset: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    /// The environment variables of a server that sees this clock.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", library().to_str().unwrap().into()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.file().to_str().unwrap().into(),
            ),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}

/// Where Debian has it: in a folder for each architecture.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    let mut libraries =
        folders.map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    libraries
        .find(|library| library.exists())
        .expect("libfaketime is missing. Run `cargo xtask setup`")
}
