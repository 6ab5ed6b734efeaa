-- The servers that share a database, each for as long as it says every second that it is there. A file has one server, which
-- does not: the table is for databases on servers, whose tables are the same.
CREATE TABLE nodes (
    -- Another one at each start, and after each time that the node was cut off.
    id          TEXT   NOT NULL PRIMARY KEY,
    -- What its machine calls itself.
    name        TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    started_at  BIGINT NOT NULL,
    -- By the clock of the database. Whose lease has ended is gone: another node deletes the row, and inherits.
    lease_until BIGINT NOT NULL,
    -- The last change of rights that is in force there.
    rights_seen BIGINT NOT NULL
) WITHOUT ROWID;
