-- Tells to which database file a write-ahead log belongs: see store/src/dialect/foreign_log.rs, which finds this row in pages
-- of the log by its bytes. Its columns, their order and the name are not to be changed.
CREATE TABLE log_mark (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    name TEXT    NOT NULL,
    -- Grows with the transactions; random at first above bit 32, so that it is another one in each database.
    mark INTEGER NOT NULL
);

INSERT INTO log_mark (id, name, mark)
VALUES (1, 'herald log mark', ((random() & 1073741823) | 1073741824) << 32);
