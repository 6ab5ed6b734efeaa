-- How far each inbox has come, apart from the account: whoever ends a message or acknowledges one changes a row that no other
-- row refers to. Like the queue, it is there for as long as its user.
CREATE TABLE inboxes (
    user_id   TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- The number of the newest notification; 0 before the first.
    last_seq  BIGINT NOT NULL DEFAULT 0,
    -- The highest number that any session of the user acknowledged.
    acked_seq BIGINT NOT NULL DEFAULT 0
) WITHOUT ROWID;

INSERT INTO inboxes (user_id, last_seq, acked_seq)
SELECT id, last_seq, acked_seq FROM users ORDER BY id;

INSERT INTO user_queues (user_id, open)
SELECT id, 0 FROM users WHERE NOT EXISTS (SELECT 1 FROM user_queues WHERE user_queues.user_id = users.id) ORDER BY id;

DROP TRIGGER count_inbox_changes;
ALTER TABLE users DROP COLUMN last_seq;
ALTER TABLE users DROP COLUMN acked_seq;

CREATE TRIGGER count_inbox_changes AFTER UPDATE OF last_seq ON inboxes
BEGIN
    UPDATE inbox_epoch SET changes = changes + 1 WHERE id = 1;
END;
