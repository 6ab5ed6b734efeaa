-- Within what the numbers of inboxes may be compared, and how many transactions have given numbers: a database in which that
-- is less than it was known to be is an older one, restored.
CREATE TABLE inbox_epoch (
    id      BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Opaque; another one for each epoch.
    epoch   TEXT   NOT NULL,
    changes BIGINT NOT NULL
);

INSERT INTO inbox_epoch (id, epoch, changes)
SELECT 1, lower(hex(randomblob(8))), COALESCE(SUM(last_seq), 0) FROM users;

-- Whatever gives numbers is counted with it, at no statement more.
CREATE TRIGGER count_inbox_changes AFTER UPDATE OF last_seq ON users
BEGIN
    UPDATE inbox_epoch SET changes = changes + 1 WHERE id = 1;
END;
