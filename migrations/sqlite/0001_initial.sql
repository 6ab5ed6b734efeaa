-- Ids are text (UUIDv7), times BIGINT milliseconds UTC, flags BIGINT 0 or 1.

CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY,
    username      TEXT   NOT NULL UNIQUE,
    role          TEXT   NOT NULL CHECK (role IN ('user', 'admin')),
    password_hash TEXT   NOT NULL,
    disabled      BIGINT NOT NULL DEFAULT 0,
    created_at    BIGINT NOT NULL,
    -- The number of the newest notification; 0 before the first.
    last_seq      BIGINT NOT NULL DEFAULT 0,
    -- The highest number that any session of the user acknowledged.
    acked_seq     BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE sessions (
    secret_hash TEXT   NOT NULL PRIMARY KEY,
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    csrf_token  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);

CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE tokens (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT   NOT NULL,
    scope_api  BIGINT NOT NULL,
    scope_mqtt BIGINT NOT NULL,
    token_hash TEXT   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);

CREATE INDEX tokens_of_user ON tokens (user_id, id);

CREATE TABLE settings (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE messages (
    id              TEXT   NOT NULL PRIMARY KEY,
    user_id         TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    body            TEXT   NOT NULL,
    idempotency_key TEXT,
    status          TEXT   NOT NULL
        CHECK (status IN ('queued', 'processing', 'processed', 'dead', 'cancelled')),
    result          TEXT,
    error           TEXT,
    attempts        BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    run_at          BIGINT NOT NULL,
    -- Who works on it, and until when; both only while the status is 'processing'.
    lease           TEXT,
    lease_until     BIGINT,
    processed_at    BIGINT,
    delivered_at    BIGINT
);

-- Newest first, and each user apart.
CREATE INDEX messages_of_user ON messages (user_id, id);
-- What is due, and how many there are of each status.
CREATE INDEX messages_by_status ON messages (status, run_at);
CREATE UNIQUE INDEX messages_by_key ON messages (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- An inbox is read in order of its numbers, so it is stored in that order.
CREATE TABLE notifications (
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    -- Not a foreign key: a notification is complete without the message it tells of.
    message_id TEXT   NOT NULL,
    payload    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, seq)
) WITHOUT ROWID;
