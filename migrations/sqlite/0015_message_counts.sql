-- How many messages there are of each status: looked at all the time, so not counted each time. Whatever changes a message
-- changes its count in the same transaction.
CREATE TABLE message_counts (
    status TEXT   NOT NULL PRIMARY KEY
        CHECK (status IN ('queued', 'processing', 'processed', 'dead', 'cancelled')),
    count  BIGINT NOT NULL
) WITHOUT ROWID;

INSERT INTO message_counts (status, count)
SELECT s.status, (SELECT COUNT(*) FROM messages WHERE messages.status = s.status)
FROM (
    SELECT 'queued' AS status UNION ALL SELECT 'processing' UNION ALL SELECT 'processed'
    UNION ALL SELECT 'dead' UNION ALL SELECT 'cancelled'
) AS s;

CREATE TRIGGER count_new_message AFTER INSERT ON messages
BEGIN
    UPDATE message_counts SET count = count + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER count_changed_message AFTER UPDATE OF status ON messages WHEN NEW.status <> OLD.status
BEGIN
    UPDATE message_counts SET count = count - 1 WHERE status = OLD.status;
    UPDATE message_counts SET count = count + 1 WHERE status = NEW.status;
END;

-- Also for those that go with their account.
CREATE TRIGGER count_deleted_message AFTER DELETE ON messages
BEGIN
    UPDATE message_counts SET count = count - 1 WHERE status = OLD.status;
END;

-- Which queued message is due first, of all users.
CREATE INDEX messages_due ON messages (run_at) WHERE status = 'queued';
