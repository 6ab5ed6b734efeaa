//! What a client sends.

/// A message of a client, as far as tests tell messages apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which of the connections it is on, from 1 each time that connections are admitted.
    pub connection: u32,
    /// Which message of its connection it is, from 1, which is the beginning of the session.
    pub number: u32,
    /// PostgreSQL's message type (`Q` for a query, 0 for the first message), or MySQL's command (3 for a query; `None` in the
    /// handshake).
    pub kind: Option<u8>,
    /// The statement, if it has one.
    pub statement: Option<String>,
}

impl Message {
    /// Whether it ends a transaction by `COMMIT`.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        let statement = self.statement.as_deref().unwrap_or_default();
        let statement = statement.trim().trim_end_matches(';');
        statement.eq_ignore_ascii_case("commit")
    }
}
