-- Sessions of browsers have an id of their own, so that their user can tell them apart and end them, and end when unused.
-- Those that there are end: their users sign in again.
DROP TABLE sessions;

CREATE TABLE sessions (
    id           TEXT   NOT NULL PRIMARY KEY,
    secret_hash  TEXT   NOT NULL UNIQUE,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    csrf_token   TEXT   NOT NULL,
    -- Where it began, and what the browser called itself then.
    address      TEXT   NOT NULL,
    user_agent   TEXT,
    created_at   BIGINT NOT NULL,
    -- Within some minutes.
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_use ON sessions (last_used_at);

-- Within some minutes.
ALTER TABLE tokens ADD COLUMN last_used_at BIGINT;
-- What a token was made by ends with that: a session that needed it for MQTT, or another token.
ALTER TABLE tokens ADD COLUMN session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE;
ALTER TABLE tokens ADD COLUMN parent_id TEXT REFERENCES tokens (id) ON DELETE CASCADE;

CREATE INDEX tokens_of_session ON tokens (session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX tokens_of_parent ON tokens (parent_id) WHERE parent_id IS NOT NULL;

-- Who did what, when, and from where. An entry is never changed.
CREATE TABLE audit (
    id         TEXT   NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    action     TEXT   NOT NULL,
    -- Usernames, not foreign keys: what a user did outlives the account.
    actor      TEXT,
    -- What it was done to.
    target     TEXT,
    address    TEXT,
    request_id TEXT,
    detail     TEXT,
    -- How often the same happened within the minute after `at`.
    count      BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_actor ON audit (actor, id) WHERE actor IS NOT NULL;

-- The account is being deleted: nobody gets into it any more, whatever else is changed of it.
ALTER TABLE users ADD COLUMN closed BIGINT NOT NULL DEFAULT 0;
