//! How many files the process may have open: each connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Open besides connections: the database, the listeners, what the runtime needs.
const OTHER: u64 = 64;

/// Raises the soft limit as far as the hard one lets it. Returns how many connections there may be: `connections`, or as many as
/// files may be open, which is logged. Past that, to accept would fail, and so would the database.
pub(crate) fn raise_limit(connections: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let enough = connections as u64 + OTHER;
    limit.current = limit.maximum;
    if let Err(e) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(error = %e, "the limit of open files cannot be raised");
    }
    match getrlimit(Resource::Nofile).current {
        Some(files) if files < enough => {
            let possible =
                usize::try_from(files.saturating_sub(OTHER).max(1)).unwrap_or(connections);
            tracing::warn!(
                files,
                wanted = connections,
                connections = possible,
                "fewer files may be open than limits.connections, which is lowered; raise the hard limit (ulimit -Hn, \
                 LimitNOFILE)"
            );
            possible
        }
        _ => connections,
    }
}
