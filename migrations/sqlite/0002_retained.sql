-- The last message of each topic that was published with the retain flag (MQTT 5 section 3.3.1.3).
CREATE TABLE retained (
    topic      TEXT   NOT NULL PRIMARY KEY,
    payload    BLOB   NOT NULL,
    -- Level and properties, in a form of the broker's own.
    attributes TEXT   NOT NULL,
    -- When it is to be forgotten; NULL: when it is replaced.
    expires_at BIGINT
);
