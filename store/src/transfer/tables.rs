//! Which tables are copied, and what is in them. A test compares the list with the tables that there are.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Also times and flags.
    Int,
    Bytes,
}

/// A column, and what it holds.
pub(super) type Column = (&'static str, Kind);

/// A table that is copied.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// How many of the first columns are the primary key.
    pub(super) key: usize,
    pub(super) columns: &'static [Column],
    /// A migration puts rows into it.
    pub(super) is_seeded: bool,
    /// Rows that are not copied, as a condition for all others.
    pub(super) only: Option<&'static str>,
    /// A column that refers to another row of the table, which may come later.
    pub(super) refers: Option<&'static str>,
}

impl Table {
    const fn new(name: &'static str, key: usize, columns: &'static [Column]) -> Self {
        Self {
            name,
            key,
            columns,
            is_seeded: false,
            only: None,
            refers: None,
        }
    }

    /// The names of its columns.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.columns.iter().map(|(name, _)| *name).collect()
    }

    /// The place of a column.
    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|(name, _)| *name == column)
    }
}

/// Each table behind those that it refers to.
pub(super) const TABLES: [Table; 15] = [
    Table::new(
        "users",
        1,
        &[
            ("id", Kind::Text),
            ("username", Kind::Text),
            ("role", Kind::Text),
            ("password_hash", Kind::Text),
            ("disabled", Kind::Int),
            ("created_at", Kind::Int),
            ("delay", Kind::Text),
            ("closed", Kind::Int),
        ],
    ),
    Table::new(
        "inboxes",
        1,
        &[
            ("user_id", Kind::Text),
            ("last_seq", Kind::Int),
            ("acked_seq", Kind::Int),
        ],
    ),
    Table::new(
        "user_queues",
        1,
        &[
            ("user_id", Kind::Text),
            ("open", Kind::Int),
            ("turn_at", Kind::Int),
            ("stored_bytes", Kind::Int),
        ],
    ),
    Table::new(
        "sessions",
        1,
        &[
            ("id", Kind::Text),
            ("secret_hash", Kind::Text),
            ("user_id", Kind::Text),
            ("csrf_token", Kind::Text),
            ("address", Kind::Text),
            ("user_agent", Kind::Text),
            ("created_at", Kind::Int),
            ("last_used_at", Kind::Int),
            ("expires_at", Kind::Int),
        ],
    ),
    Table {
        refers: Some("parent_id"),
        ..Table::new(
            "tokens",
            1,
            &[
                ("id", Kind::Text),
                ("user_id", Kind::Text),
                ("name", Kind::Text),
                ("scope_api", Kind::Int),
                ("scope_mqtt", Kind::Int),
                ("token_hash", Kind::Text),
                ("created_at", Kind::Int),
                ("expires_at", Kind::Int),
                ("last_used_at", Kind::Int),
                ("session_id", Kind::Text),
                ("parent_id", Kind::Text),
            ],
        )
    },
    Table {
        only: Some(super::mark::NO_MARK),
        ..Table::new(
            "settings",
            1,
            &[("name", Kind::Text), ("value", Kind::Text)],
        )
    },
    Table {
        is_seeded: true,
        ..Table::new(
            "acl_rules",
            1,
            &[
                ("id", Kind::Text),
                ("subject_kind", Kind::Text),
                ("subject", Kind::Text),
                ("actions", Kind::Text),
                ("effect", Kind::Text),
                ("filter", Kind::Text),
                ("description", Kind::Text),
                ("created_at", Kind::Int),
            ],
        )
    },
    Table {
        is_seeded: true,
        ..Table::new("counters", 1, &[("name", Kind::Text), ("value", Kind::Int)])
    },
    Table::new(
        "rights_changes",
        1,
        &[
            ("id", Kind::Int),
            ("kind", Kind::Text),
            ("username", Kind::Text),
            ("token_id", Kind::Text),
            ("at", Kind::Int),
        ],
    ),
    Table::new(
        "retained",
        1,
        &[
            ("topic", Kind::Text),
            ("payload", Kind::Bytes),
            ("attributes", Kind::Text),
            ("expires_at", Kind::Int),
            ("revision", Kind::Int),
        ],
    ),
    Table::new(
        "cursors",
        2,
        &[
            ("user_id", Kind::Text),
            ("client_id", Kind::Text),
            ("seq", Kind::Int),
            ("updated_at", Kind::Int),
        ],
    ),
    Table::new(
        "messages",
        1,
        &[
            ("id", Kind::Text),
            ("user_id", Kind::Text),
            ("body", Kind::Text),
            ("idempotency_key", Kind::Text),
            ("status", Kind::Text),
            ("result", Kind::Text),
            ("attempts", Kind::Int),
            ("created_at", Kind::Int),
            ("run_at", Kind::Int),
            ("lease", Kind::Text),
            ("lease_until", Kind::Int),
            ("processed_at", Kind::Int),
            ("delivered_at", Kind::Int),
            ("failures", Kind::Int),
            ("outage", Kind::Text),
        ],
    ),
    Table::new(
        "failed_attempts",
        2,
        &[
            ("message_id", Kind::Text),
            ("attempt", Kind::Int),
            ("error", Kind::Text),
            ("failed_at", Kind::Int),
        ],
    ),
    Table::new(
        "notifications",
        2,
        &[
            ("user_id", Kind::Text),
            ("seq", Kind::Int),
            ("message_id", Kind::Text),
            ("status", Kind::Text),
            ("attempts", Kind::Int),
            ("created_at", Kind::Int),
        ],
    ),
    Table::new(
        "audit",
        1,
        &[
            ("id", Kind::Text),
            ("at", Kind::Int),
            ("action", Kind::Text),
            ("actor", Kind::Text),
            ("target", Kind::Text),
            ("address", Kind::Text),
            ("request_id", Kind::Text),
            ("detail", Kind::Text),
            ("count", Kind::Int),
        ],
    ),
];

/// Tables that are not copied row by row: triggers count messages as they are written; the epoch and the number of changes are
/// read from `inbox_epoch`, which is a view on the next two elsewhere; the mark is of a file; the last commits are those of connections that are gone; of nodes
/// none runs, and so none has sessions, counts sign-ins or tells others anything; the last is of the migrations.
pub(super) const OTHERS: [&str; 14] = [
    "message_counts",
    "inbox_epoch",
    "epochs",
    "inbox_changes",
    "log_mark",
    "last_commits",
    "nodes",
    "mqtt_sessions",
    "mqtt_session_ends",
    "mqtt_wills",
    "sign_ins",
    "node_frames",
    "shared_frames",
    "_sqlx_migrations",
];
