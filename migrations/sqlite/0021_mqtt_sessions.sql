-- Which process has the session of a client, among the servers that share a database. A file has one server, which does not: the
-- tables are for databases on servers, whose tables are the same.
ALTER TABLE nodes ADD COLUMN process TEXT;

CREATE TABLE mqtt_sessions (
    user_id      TEXT   NOT NULL,
    client_id    TEXT   NOT NULL,
    -- It stays the same when the node joins anew.
    process      TEXT   NOT NULL,
    -- Of the last takeover, counted by the process.
    number       BIGINT NOT NULL,
    -- Of the first takeover since another process had the session: what the process has from before is not the session any more.
    first_number BIGINT NOT NULL,
    -- What administrators know the session by.
    id           TEXT   NOT NULL,
    -- What the client signed in with; NULL: the password.
    token_id     TEXT,
    -- NULL: the session has no connection. The rest is of the last one then.
    peer         TEXT,
    transport    TEXT   NOT NULL,
    protocol     TEXT   NOT NULL,
    connected_at BIGINT NOT NULL,
    keep_alive_s BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
) WITHOUT ROWID;

CREATE INDEX mqtt_sessions_by_id ON mqtt_sessions (id);

CREATE INDEX mqtt_sessions_of_process ON mqtt_sessions (process);

-- Sessions that a process has to end, as another one or nobody is to have them. It deletes the row when it has.
CREATE TABLE mqtt_session_ends (
    user_id   TEXT   NOT NULL,
    client_id TEXT   NOT NULL,
    process   TEXT   NOT NULL,
    -- Up to which takeover.
    number    BIGINT NOT NULL,
    reason    TEXT   NOT NULL,
    PRIMARY KEY (user_id, client_id, process)
) WITHOUT ROWID;

CREATE INDEX mqtt_session_ends_of_process ON mqtt_session_ends (process);
