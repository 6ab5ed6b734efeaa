-- Numbers that are given in the order of commits: whoever takes one changes the row, and so holds it to the commit. A sequence
-- would give them in the order in which they were asked for, and one who reads what is newer would miss what commits late.
CREATE TABLE counters (
    name  TEXT   NOT NULL PRIMARY KEY,
    -- The number that was given last.
    value BIGINT NOT NULL
) WITHOUT ROWID;

INSERT INTO counters (name, value)
VALUES ('rights', COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'rights_changes'), 0));

ALTER TABLE rights_changes RENAME TO old_rights_changes;

CREATE TABLE rights_changes (
    -- From the counter 'rights': none is left out, and none is used again.
    id       BIGINT  NOT NULL PRIMARY KEY,
    kind     TEXT    NOT NULL CHECK (kind IN ('policy', 'user', 'password', 'token')),
    -- Not foreign keys: the user or the token may be gone.
    username TEXT    CHECK ((username IS NULL) = (kind = 'policy')),
    token_id TEXT    CHECK ((token_id IS NULL) = (kind <> 'token')),
    at       BIGINT  NOT NULL
) WITHOUT ROWID;

INSERT INTO rights_changes (id, kind, username, token_id, at)
SELECT id, kind, username, token_id, at FROM old_rights_changes ORDER BY id;

DROP TABLE old_rights_changes;
