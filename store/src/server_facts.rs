//! What a database server is.

/// What was found out of a database server that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// What it is, such as `PostgreSQL 15.18`.
    pub version: String,
    /// Settings of it that weaken the promise, what else is not as it should be for long, and what to do.
    pub warnings: Vec<String>,
}
