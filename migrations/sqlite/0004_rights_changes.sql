-- What has changed of who may do what, for servers that hold live sessions and rules in memory: they read what is newer
-- than what they know. Each row is written with the change itself. A number is never used again (AUTOINCREMENT).
CREATE TABLE rights_changes (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT    NOT NULL CHECK (kind IN ('policy', 'user', 'password', 'token')),
    -- Not foreign keys: the user or the token may be gone.
    username TEXT    CHECK ((username IS NULL) = (kind = 'policy')),
    token_id TEXT    CHECK ((token_id IS NULL) = (kind <> 'token')),
    at       BIGINT  NOT NULL
);
