-- What has changed of retained messages, and in which order, for servers that share a database. A file has one server, which does not:
-- the columns are for databases on servers, whose tables are the same.
ALTER TABLE retained ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

CREATE INDEX retained_by_revision ON retained (revision);

INSERT INTO counters (name, value) VALUES ('retained', 0), ('retained_forgotten', 0);
