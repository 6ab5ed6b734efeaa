//! The data directory, which one server at a time may use.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use anyhow::{Context as _, bail};

/// Held while a server uses the directory.
pub(crate) struct Lock(
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")] File,
);

/// Makes the directory if need be. It holds secrets: only the owner may look.
pub(crate) fn create(dir: &Path) -> anyhow::Result<()> {
    let hint = || {
        format!(
            "cannot use the data directory {}; create it or choose another with --data-dir",
            dir.display()
        )
    };
    if !dir.is_dir() {
        fs::create_dir_all(dir).with_context(hint)?;
        restrict(dir, 0o700).with_context(hint)?;
    }
    // Whether it can be written to shows only by writing.
    tempfile::tempfile_in(dir).with_context(hint)?;
    Ok(())
}

/// Takes the directory for this process, or says that another has it.
pub(crate) fn lock(dir: &Path) -> anyhow::Result<Lock> {
    lock_file(&dir.join("lock"), "data directory", dir)
}

/// Whether a server uses the directory.
pub(crate) fn is_locked(dir: &Path) -> anyhow::Result<bool> {
    let path = dir.join("lock");
    let problem = || format!("cannot look at {}", path.display());
    match File::open(&path) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(e).with_context(problem),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e).with_context(problem),
    }
}

/// Takes the database, which may lie elsewhere, for this process.
pub(crate) fn lock_database(file: &Path) -> anyhow::Result<Lock> {
    let mut path = file.as_os_str().to_owned();
    path.push(".lock");
    lock_file(Path::new(&path), "database", file)
}

fn lock_file(path: &Path, what: &str, of: &Path) -> anyhow::Result<Lock> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "another server is running on the {what} {}; stop it first, or choose another",
            of.display()
        ),
        Err(TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Writes `text` to `path` whole or not at all, readable by the owner alone if it is `secret`.
pub(crate) fn write(path: &Path, text: &str, secret: bool) -> anyhow::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_all()?;
        if !secret {
            restrict(file.path(), 0o644)?;
        }
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> std::io::Result<()> {
    Ok(())
}
