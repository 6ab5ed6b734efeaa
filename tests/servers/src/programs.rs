//! Where a program is.

use std::{env, path::PathBuf};

/// On the PATH, or in one of `folders`, the first that has it.
pub(crate) fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(folders.iter().cloned())
        .map(|folder| folder.join(program))
        .find(|program| program.is_file())
}
