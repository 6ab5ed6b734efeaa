//! The user that a server runs as: neither runs as root.

use std::{
    ffi::OsStr,
    os::unix::{fs::chown, process::CommandExt as _},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// Whoever runs the tests, or one without rights if that is root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// User and group, if they are not our own.
    ids: Option<(u32, u32)>,
}

impl Account {
    /// The first of `names` that there is.
    pub(crate) fn find(names: &[&str]) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { ids: None });
        }
        for name in names {
            if let (Some(user), Some(group)) = (id("-u", name)?, id("-g", name)?) {
                let ids = Some((user, group));
                return Ok(Self { ids });
            }
        }
        bail!("the server does not run as root, and there is none of the users {names:?}")
    }

    /// What runs `program` as this user, without further groups.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.ids {
            command.uid(user).gid(group);
        }
        // Faults are looked for in what it writes.
        command.env("LC_ALL", "C");
        command
    }

    /// Gives `path` to this user.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        if let Some((user, group)) = self.ids {
            chown(path, Some(user), Some(group)).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

/// What id(1) says of the user, if there is one of this name.
fn id(option: &str, name: &str) -> Result<Option<u32>> {
    let output = Command::new("id").args([option, name]).output();
    let output = output.context("cannot run id")?;
    if !output.status.success() {
        return Ok(None);
    }
    let id = str::from_utf8(&output.stdout)?.trim().parse()?;
    Ok(Some(id))
}
