-- Text is stored once: body and result with the message, the error with the attempt that failed. A notification is made
-- from them when it is read; it keeps only what is not the same in two notifications of one message.

-- What failed before attempts were kept.
INSERT OR IGNORE INTO failed_attempts (message_id, attempt, error, failed_at)
SELECT message_id, json_extract(payload, '$.message.attempts'), json_extract(payload, '$.message.error'), created_at
FROM notifications
WHERE CASE WHEN json_valid(payload) THEN json_extract(payload, '$.type') END = 'message.failed'
    AND json_extract(payload, '$.message.attempts') IS NOT NULL
    AND json_extract(payload, '$.message.error') IS NOT NULL
    AND EXISTS (SELECT 1 FROM messages WHERE messages.id = notifications.message_id);
INSERT INTO failed_attempts (message_id, attempt, error, failed_at)
SELECT id, attempts, error, COALESCE(processed_at, created_at)
FROM messages
WHERE error IS NOT NULL AND status <> 'processed'
    AND NOT EXISTS (SELECT 1 FROM failed_attempts WHERE failed_attempts.message_id = messages.id);

ALTER TABLE messages DROP COLUMN error;
-- A processed message without a result has its body as the result.
UPDATE messages SET result = NULL WHERE status = 'processed' AND result = body;

ALTER TABLE notifications RENAME TO old_notifications;

CREATE TABLE notifications (
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    -- Not a foreign key: the number stays when the message is gone.
    message_id TEXT   NOT NULL,
    -- How the message ended, with which attempt, and when.
    status     TEXT   NOT NULL CHECK (status IN ('processed', 'dead')),
    attempts   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, seq)
) WITHOUT ROWID;

INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at)
SELECT user_id, seq, message_id,
    CASE CASE WHEN json_valid(payload) THEN json_extract(payload, '$.type') END
        WHEN 'message.failed' THEN 'dead' ELSE 'processed' END,
    COALESCE(CASE WHEN json_valid(payload) THEN json_extract(payload, '$.message.attempts') END, 1),
    created_at
FROM old_notifications ORDER BY user_id, seq;

DROP TABLE old_notifications;
