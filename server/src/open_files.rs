//! How many files the process may have open: each connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Open besides connections: the database, the listeners, what the runtime needs.
const OTHER: u64 = 64;

/// Raises the soft limit as far as the hard one lets it, and says so if that is too few for `connections`.
pub(crate) fn raise_limit(connections: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    let enough = connections as u64 + OTHER;
    limit.current = limit.maximum;
    if let Err(e) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(error = %e, "the limit of open files cannot be raised");
    }
    let files = getrlimit(Resource::Nofile).current;
    if files.is_some_and(|files| files < enough) {
        tracing::warn!(
            files,
            connections,
            "fewer files may be open than limits.connections; raise the hard limit (ulimit -Hn, LimitNOFILE)"
        );
    }
}
