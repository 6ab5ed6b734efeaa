//! Disks that fill up, and files that may not be written any more.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::cli;

/// What makes a mount namespace: for root, and for anyone where that is allowed.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];

/// Mounts a disk of `$1` bytes at `$2`, and becomes the rest.
const MOUNT: &str = r#"mount -t tmpfs -o "size=$1,mode=700" tmpfs "$2"; shift 2; exec "$@""#;

/// A disk of its own for a server, in a mount namespace that ends with it.
pub struct SmallDisk {
    bytes: String,
    namespace: &'static [&'static str],
}

impl SmallDisk {
    /// One of this size. Panics where nothing can be mounted: a test that needs it has not passed there.
    #[must_use]
    pub fn new(bytes: u32) -> Self {
        let mut disk = Self {
            bytes: bytes.to_string(),
            namespace: &[],
        };
        let mut errors = String::new();
        for namespace in NAMESPACES {
            disk.namespace = namespace;
            // Over a folder that is there, and that stays as it is for everyone else.
            let tried = disk.unshare(&std::env::temp_dir()).arg("true").output();
            let tried = tried.unwrap();
            if tried.status.success() {
                return disk;
            }
            errors.push_str(&String::from_utf8_lossy(&tried.stderr));
        }
        panic!(
            "this test mounts a small disk. Run it as root with CAP_SYS_ADMIN (docker: --privileged), or where \
             unprivileged user namespaces are allowed. Tried:\n{errors}"
        );
    }

    /// What runs the command that follows with this disk at `path`.
    fn unshare(&self, path: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(self.namespace);
        command
            .args(["sh", "-ec", MOUNT, "sh", &self.bytes])
            .arg(path);
        command
    }

    /// What becomes `herald` with this disk at `path`.
    pub(crate) fn command(&self, path: &Path) -> tokio::process::Command {
        let mut command = cli::prepared(self.unshare(path).into());
        command.arg(cli::program());
        command
    }
}

/// `path` as the process `pid` sees it, with its disk.
pub(crate) fn seen_by(pid: u32, path: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    root.join(path.strip_prefix("/").unwrap())
}

/// Takes all the room that is left for files beside `file`, by writing to it until no more is taken.
pub fn fill(file: &Path) {
    let mut file = File::create(file).unwrap();
    for size in [65_536, 4096, 1] {
        let block = vec![0; size];
        loop {
            match file.write(&block) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::StorageFull => break,
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// Files that nobody can write, not even those who have them open. They can be again when it is dropped.
pub struct Immutable {
    files: Vec<PathBuf>,
}

impl Immutable {
    /// Makes these files so. Panics where that cannot be done: a test that needs it has not passed there.
    #[must_use]
    pub fn new(files: &[PathBuf]) -> Self {
        let immutable = Self {
            files: files.to_vec(),
        };
        assert!(
            immutable.chattr("+i"),
            "this test makes files immutable with chattr. Run it as root with CAP_LINUX_IMMUTABLE (docker: --privileged), \
             with TMPDIR on ext4, XFS or btrfs"
        );
        immutable
    }

    fn chattr(&self, mode: &str) -> bool {
        let status = Command::new("chattr")
            .arg(mode)
            .args(&self.files)
            .stdin(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        self.chattr("-i");
    }
}

/// Removes a file that [`fill`] made.
pub fn free(file: &Path) {
    fs::remove_file(file).unwrap();
}
