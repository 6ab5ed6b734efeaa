-- Where each client id that asked for a session to be kept stopped in its user's inbox. It outlives the session.
CREATE TABLE cursors (
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  TEXT   NOT NULL,
    -- The highest number that the client acknowledged, or where it began.
    seq        BIGINT NOT NULL,
    -- When it was last used.
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
) WITHOUT ROWID;

CREATE INDEX cursors_by_age ON cursors (updated_at);
