//! The processes of a database server on this machine: the one that listens on its port, and all that run in the same folder.
//! Both servers run in the folder of their data, and PostgreSQL has a process for each connection.

use std::{
    collections::BTreeSet,
    fs,
    net::ToSocketAddrs as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use crate::process;

/// As the kernel's tables have it.
const LISTENS: &str = "0A";

/// The processes of a server.
#[derive(Debug)]
pub(crate) struct Processes {
    /// The one that listens and starts the others.
    first: u32,
    folder: PathBuf,
}

impl Processes {
    /// Those of the server at `url`; `None`, having said so, if they cannot be seen.
    pub(crate) fn of(url: &str) -> anyhow::Result<Option<Self>> {
        let (host, port) = address(url).context("--database has no host and port")?;
        let mut addresses = (host, port).to_socket_addrs()?;
        let found = match addresses.any(|address| address.ip().is_loopback()) {
            true => find(port),
            false => None,
        };
        if found.is_none() {
            println!(
                "the processes of the server on port {port} are not seen from here: its CPU is not told\n"
            );
        }
        Ok(found)
    }

    /// Processor time of all that run, and of those that have ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let first = process::times(self.first)?;
        let mut sum = first.own + first.ended_children;
        for pid in pids().filter(|&pid| pid != self.first && runs_in(pid, &self.folder)) {
            // One that has ended since is counted by the first next time.
            sum += process::times(pid).unwrap_or_default().own;
        }
        Ok(sum)
    }
}

/// Host and port of a URL that has both.
fn address(url: &str) -> Option<(&str, u16)> {
    let (_, rest) = url.split_once("://")?;
    let place = rest.split(['/', '?']).next()?;
    let place = place.rsplit('@').next()?;
    let (host, port) = place.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?))
}

fn find(port: u16) -> Option<Processes> {
    let sockets: BTreeSet<PathBuf> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| listening(&fs::read_to_string(table).unwrap_or_default(), port))
        .map(|inode| format!("socket:[{inode}]").into())
        .collect();
    // The children that have it open, too, are younger.
    let first = pids().filter(|pid| has_open(*pid, &sockets)).min()?;
    let folder = fs::read_link(format!("/proc/{first}/cwd")).ok()?;
    Some(Processes { first, folder })
}

/// The inodes of the sockets that listen on this port, of a table as `/proc/net/tcp` is.
fn listening(table: &str, port: u16) -> Vec<String> {
    let ending = format!(":{port:04X}");
    let lines = table.lines().skip(1);
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1)?.ends_with(&ending) && *fields.get(3)? == LISTENS;
        is_it.then_some(())?;
        fields.get(9).map(|inode| (*inode).to_owned())
    };
    lines.filter_map(inode).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn has_open(pid: u32, sockets: &BTreeSet<PathBuf>) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    let mut files = files.into_iter().flatten().flatten();
    files.any(|file| fs::read_link(file.path()).is_ok_and(|to| sockets.contains(&to)))
}

fn runs_in(pid: u32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|runs_in| runs_in == folder)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_url_says_where_the_server_is() {
        let at = ("db.example", 5432);
        assert_eq!(address("postgres://a:b@db.example:5432/x?y=z:1"), Some(at));
        assert_eq!(address("mysql://db.example:5432"), Some(at));
        assert_eq!(address("mysql://u:p@[::1]:3306/x"), Some(("::1", 3306)));
        assert_eq!(address("postgres://db.example/x"), None);
    }

    #[test]
    fn who_listens_is_found_by_the_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = find(port).unwrap();
        assert_eq!(found.first, std::process::id());
        let before = found.cpu().unwrap();
        while found.cpu().unwrap() == before {
            std::hint::spin_loop();
        }
        drop(listener);
        assert!(find(port).is_none());
    }
}
