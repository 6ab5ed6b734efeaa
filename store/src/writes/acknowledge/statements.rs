//! The statements of an acknowledgement, for a number of users or client ids.

use crate::bulk;

// The CROSS JOINs make SQLite begin with the few that acknowledged, not with all there are.

/// Marks the messages of the next `$2` notifications of each user as delivered at `$1`.
pub(super) fn delivered(rows: usize) -> String {
    format!(
        "WITH v (user_id, up_to) AS (VALUES {})
         UPDATE messages SET delivered_at = $1
         WHERE delivered_at IS NULL AND id IN (
            SELECT n.message_id FROM v CROSS JOIN inboxes i CROSS JOIN notifications n
            WHERE i.user_id = v.user_id AND n.user_id = i.user_id
                AND n.seq > i.acked_seq AND n.seq <= CASE
                    WHEN v.up_to < i.acked_seq + $2 THEN v.up_to
                    ELSE i.acked_seq + $2 END)",
        bulk::rows(rows, 2, 3)
    )
}

/// Moves each user by up to `$1` numbers.
pub(super) fn users_moved(rows: usize) -> String {
    format!(
        "WITH v (owner, up_to) AS (VALUES {})
         UPDATE inboxes
         SET acked_seq = CASE
            WHEN acked_seq + $1 < v.up_to AND acked_seq + $1 < last_seq THEN acked_seq + $1
            WHEN last_seq < v.up_to THEN last_seq
            ELSE v.up_to END
         FROM v WHERE user_id = v.owner AND acked_seq < v.up_to AND acked_seq < last_seq
         RETURNING user_id, acked_seq, last_seq",
        bulk::rows(rows, 2, 2)
    )
}

/// Moves the cursors that are there.
pub(super) fn clients_moved(rows: usize) -> String {
    format!(
        "WITH v (user_id, client_id, up_to) AS (VALUES {})
         UPDATE cursors SET updated_at = $1, seq = CASE
            WHEN cursors.seq >= v.up_to THEN cursors.seq
            WHEN i.last_seq < v.up_to THEN i.last_seq
            ELSE v.up_to END
         FROM v CROSS JOIN inboxes i
         WHERE i.user_id = v.user_id
            AND cursors.user_id = v.user_id AND cursors.client_id = v.client_id",
        bulk::rows(rows, 3, 2)
    )
}

/// Makes the cursors that are not there.
pub(super) fn clients_made(rows: usize) -> String {
    format!(
        "WITH v (user_id, client_id, up_to) AS (VALUES {})
         INSERT INTO cursors (user_id, client_id, seq, updated_at)
         SELECT i.user_id, v.client_id,
            CASE WHEN i.last_seq < v.up_to THEN i.last_seq ELSE v.up_to END, $1
         FROM v CROSS JOIN inboxes i WHERE i.user_id = v.user_id
         ON CONFLICT (user_id, client_id) DO NOTHING",
        bulk::rows(rows, 3, 2)
    )
}

/// Deletes all cursors of these users but the `$1` that each used last.
pub(super) fn oldest_forgotten(rows: usize) -> String {
    format!(
        "WITH v (user_id) AS (VALUES {})
         DELETE FROM cursors WHERE (user_id, client_id) IN (
            SELECT user_id, client_id FROM (
                SELECT user_id, client_id, ROW_NUMBER() OVER (
                    PARTITION BY user_id ORDER BY updated_at DESC, client_id) AS recency
                FROM cursors WHERE user_id IN (SELECT user_id FROM v)) AS ranked
            WHERE recency > $1)",
        bulk::rows(rows, 1, 2)
    )
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::StoreOptions;
    use crate::location::Location;
    use crate::open::prepare;

    /// However large a table is, a batch reads what it is about.
    #[tokio::test]
    async fn no_statement_reads_a_whole_table() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let location = Location::parse(options.url).unwrap();
        let (mut conn, _) = prepare(&location).await.unwrap();
        for rows in [1, 64] {
            for sql in [
                delivered(rows),
                users_moved(rows),
                clients_moved(rows),
                clients_made(rows),
                oldest_forgotten(rows),
            ] {
                let explain = bulk::statement(format!("EXPLAIN QUERY PLAN {sql}"));
                let plan = sqlx::query(explain).fetch_all(&mut conn).await.unwrap();
                for step in plan {
                    let step: String = step.get("detail");
                    for table in ["inboxes", "i", "messages", "notifications", "n", "cursors"] {
                        let scans = format!("{step} ").contains(&format!("SCAN {table} "));
                        assert!(!scans, "{step}: {sql}");
                    }
                }
            }
        }
    }
}
