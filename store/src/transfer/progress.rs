//! How far a copy has come, and what came of it.

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferStep {
    /// Rows are read from the one database and written to the other.
    Copying,
    /// The rows of both are compared.
    Comparing,
}

/// How far one table has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferProgress {
    /// What is being done.
    pub step: TransferStep,
    /// The table.
    pub table: &'static str,
    /// How many of its rows are done.
    pub rows: u64,
    /// How many it has.
    pub all: u64,
}

/// What was copied, and found to be the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// How many rows each table has.
    pub tables: Vec<(&'static str, u64)>,
}

impl Transferred {
    /// How many rows there are in all.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }

    /// How many rows the table with this name has.
    #[must_use]
    pub fn rows_of(&self, table: &str) -> u64 {
        let mut of = self.tables.iter().filter(|(name, _)| *name == table);
        of.next().map_or(0, |(_, rows)| *rows)
    }
}
