-- How much room each user takes: the bytes of the texts that are kept, and a fixed number for each row. A lane is there for
-- as long as its user, so it holds the count. It changes with what it counts, in the same transaction.
ALTER TABLE lanes ADD COLUMN stored_bytes BIGINT NOT NULL DEFAULT 0;

INSERT INTO lanes (user_id, open, turn_at, stored_bytes)
SELECT user_id, 0, NULL, SUM(bytes) FROM (
    SELECT user_id, 512 + octet_length(body) + COALESCE(octet_length(result), 0)
        + COALESCE(octet_length(idempotency_key), 0) AS bytes
    FROM messages
    UNION ALL
    SELECT m.user_id, 64 + octet_length(f.error)
    FROM failed_attempts f JOIN messages m ON m.id = f.message_id
    UNION ALL
    SELECT user_id, 128 FROM notifications
) AS stored
GROUP BY user_id
ON CONFLICT (user_id) DO UPDATE SET stored_bytes = excluded.stored_bytes;
