-- How many messages there are of each status: looked at all the time, so not counted each time. Whatever changes a message
-- changes its count in the same transaction.
CREATE TABLE message_counts (
    status TEXT   NOT NULL PRIMARY KEY
        CHECK (status IN ('queued', 'processing', 'processed', 'dead', 'cancelled')),
    count  BIGINT NOT NULL
) WITHOUT ROWID;

INSERT INTO message_counts (status, count) VALUES
    ('queued', 0), ('processing', 0), ('processed', 0), ('dead', 0), ('cancelled', 0);

-- Each by its index, without reading the messages: those that have ended are those with a time of it.
UPDATE message_counts SET count = (SELECT COUNT(*) FROM messages WHERE status = 'queued') WHERE status = 'queued';
UPDATE message_counts SET count = (SELECT COUNT(*) FROM messages WHERE status = 'processing') WHERE status = 'processing';
UPDATE message_counts SET count = ended.count
FROM (SELECT status, COUNT(*) AS count FROM messages WHERE processed_at IS NOT NULL GROUP BY status) AS ended
WHERE message_counts.status = ended.status;

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
