-- Who has messages that have not ended. Claims go from lane to lane, so that a user with very many does not hold back
-- the others.
CREATE TABLE lanes (
    user_id TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- Messages that are queued or being processed.
    open    BIGINT NOT NULL,
    -- When the lane is to be looked at: its earliest message is due then, or was due before it last had a turn.
    -- NULL if nothing is queued.
    turn_at BIGINT
) WITHOUT ROWID;

CREATE INDEX lanes_by_turn ON lanes (turn_at) WHERE turn_at IS NOT NULL;

INSERT INTO lanes (user_id, open, turn_at)
SELECT user_id, COUNT(*), MIN(CASE WHEN status = 'queued' THEN run_at END)
FROM messages WHERE status IN ('queued', 'processing') GROUP BY user_id;

-- How long the messages of this user wait, if not as long as those of all others.
ALTER TABLE users ADD COLUMN delay TEXT;

-- How often processing has failed since the message was last put into the queue by a person.
ALTER TABLE messages ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;

-- Why each attempt failed.
CREATE TABLE failed_attempts (
    message_id TEXT   NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    attempt    BIGINT NOT NULL,
    error      TEXT   NOT NULL,
    failed_at  BIGINT NOT NULL,
    PRIMARY KEY (message_id, attempt)
) WITHOUT ROWID;

-- One index for each way in which messages are looked for, over those alone that it is for.
DROP INDEX messages_by_status;
CREATE INDEX messages_queued ON messages (user_id, run_at, id) WHERE status = 'queued';
CREATE INDEX messages_leased ON messages (lease_until) WHERE status = 'processing';
UPDATE messages SET processed_at = created_at WHERE status = 'cancelled' AND processed_at IS NULL;
CREATE INDEX messages_ended ON messages (status, processed_at, id) WHERE processed_at IS NOT NULL;
