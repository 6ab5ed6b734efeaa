-- What migrations/sqlite have become up to 0019. Ids are text (UUIDv7), times BIGINT milliseconds UTC, flags BIGINT 0 or 1.
-- Texts are compared byte by byte, as everywhere.

CREATE TABLE users (
    id            TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    username      TEXT   COLLATE "C" NOT NULL UNIQUE,
    role          TEXT   COLLATE "C" NOT NULL CHECK (role IN ('user', 'admin')),
    password_hash TEXT   COLLATE "C" NOT NULL,
    disabled      BIGINT NOT NULL DEFAULT 0,
    created_at    BIGINT NOT NULL,
    -- How long the messages of this user wait, if not as long as those of all others.
    delay         TEXT   COLLATE "C",
    -- The account is being deleted: nobody gets into it any more, whatever else is changed of it.
    closed        BIGINT NOT NULL DEFAULT 0
);

-- Few of many users have a delay of their own: they are listed by name without reading all.
CREATE INDEX users_with_delay ON users (username) WHERE delay IS NOT NULL;

-- How far each inbox has come, apart from the account: an insert that refers to an account locks its row.
CREATE TABLE inboxes (
    user_id   TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- The number of the newest notification; 0 before the first.
    last_seq  BIGINT NOT NULL DEFAULT 0,
    -- The highest number that any session of the user acknowledged.
    acked_seq BIGINT NOT NULL DEFAULT 0
);

-- The messages of each user that wait are that user's queue. Claims go from queue to queue, so that a user with very many does
-- not hold back the others.
CREATE TABLE user_queues (
    user_id      TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- Messages that are queued or being processed.
    open         BIGINT NOT NULL,
    -- When the queue is to be looked at: its earliest message is due then, or was due before it last had a turn. NULL if
    -- nothing is queued.
    turn_at      BIGINT,
    -- How much room the user takes: the bytes of the texts that are kept, and a fixed number for each row.
    stored_bytes BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX user_queues_by_turn ON user_queues (turn_at) WHERE turn_at IS NOT NULL;

-- Sessions of browsers.
CREATE TABLE sessions (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    secret_hash  TEXT   COLLATE "C" NOT NULL UNIQUE,
    user_id      TEXT   COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    csrf_token   TEXT   COLLATE "C" NOT NULL,
    -- Where it began, and what the browser called itself then.
    address      TEXT   COLLATE "C" NOT NULL,
    user_agent   TEXT   COLLATE "C",
    created_at   BIGINT NOT NULL,
    -- Within some minutes.
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_use ON sessions (last_used_at);

CREATE TABLE tokens (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    user_id      TEXT   COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT   COLLATE "C" NOT NULL,
    scope_api    BIGINT NOT NULL,
    scope_mqtt   BIGINT NOT NULL,
    token_hash   TEXT   COLLATE "C" NOT NULL UNIQUE,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    -- Within some minutes.
    last_used_at BIGINT,
    -- What a token was made by ends with that: a session that needed it for MQTT, or another token.
    session_id   TEXT   COLLATE "C" REFERENCES sessions (id) ON DELETE CASCADE,
    parent_id    TEXT   COLLATE "C" REFERENCES tokens (id) ON DELETE CASCADE
);

CREATE INDEX tokens_of_user ON tokens (user_id, id);
CREATE INDEX tokens_of_session ON tokens (session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX tokens_of_parent ON tokens (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE settings (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- Which transaction each connection that writes has committed last: who loses a connection while a commit is under way reads
-- here what came of it.
CREATE TABLE last_commits (
    writer TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    -- A row that is old is of a connection that is gone.
    at     BIGINT NOT NULL
);

CREATE TABLE messages (
    id              TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    user_id         TEXT   COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    body            TEXT   COLLATE "C" NOT NULL,
    idempotency_key TEXT   COLLATE "C",
    status          TEXT   COLLATE "C" NOT NULL
        CHECK (status IN ('queued', 'processing', 'processed', 'dead', 'cancelled')),
    -- A processed message without a result has its body as the result.
    result          TEXT   COLLATE "C",
    attempts        BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    run_at          BIGINT NOT NULL,
    -- Who works on it, and until when; both only while the status is 'processing'.
    lease           TEXT   COLLATE "C",
    lease_until     BIGINT,
    processed_at    BIGINT,
    delivered_at    BIGINT,
    -- How often processing has failed since the message was last put into the queue by a person.
    failures        BIGINT NOT NULL DEFAULT 0,
    -- Why the message was last put back without an attempt, as there was nobody to process it.
    outage          TEXT   COLLATE "C"
);

-- One index for each way in which messages are looked for, over those alone that it is for.
CREATE INDEX messages_of_user ON messages (user_id, id);
CREATE UNIQUE INDEX messages_by_key ON messages (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX messages_queued ON messages (user_id, run_at, id) WHERE status = 'queued';
CREATE INDEX messages_queued_of_user ON messages (user_id, id) WHERE status = 'queued';
CREATE INDEX messages_due ON messages (run_at) WHERE status = 'queued';
CREATE INDEX messages_leased ON messages (lease_until) WHERE status = 'processing';
CREATE INDEX messages_ended ON messages (status, processed_at, id) WHERE processed_at IS NOT NULL;
CREATE INDEX messages_ended_of_user ON messages (user_id, status, id) WHERE processed_at IS NOT NULL;

-- Why each attempt failed.
CREATE TABLE failed_attempts (
    message_id TEXT   COLLATE "C" NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    attempt    BIGINT NOT NULL,
    error      TEXT   COLLATE "C" NOT NULL,
    failed_at  BIGINT NOT NULL,
    PRIMARY KEY (message_id, attempt)
);

CREATE TABLE notifications (
    user_id    TEXT   COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    -- Not a foreign key: the number stays when the message is gone.
    message_id TEXT   COLLATE "C" NOT NULL,
    -- How the message ended, with which attempt, and when.
    status     TEXT   COLLATE "C" NOT NULL CHECK (status IN ('processed', 'dead')),
    attempts   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, seq)
);

-- Where each client id that asked for a session to be kept stopped in its user's inbox. It outlives the session.
CREATE TABLE cursors (
    user_id    TEXT   COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  TEXT   COLLATE "C" NOT NULL,
    -- The highest number that the client acknowledged, or where it began.
    seq        BIGINT NOT NULL,
    -- When it was last used.
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);

CREATE INDEX cursors_by_age ON cursors (updated_at);

-- The last message of each topic that was published with the retain flag (MQTT 5 section 3.3.1.3). One without a payload says that
-- the topic has none any more.
CREATE TABLE retained (
    topic      TEXT   COLLATE "C" NOT NULL,
    payload    BYTEA  NOT NULL,
    -- Level and properties, in a form of the broker's own.
    attributes TEXT   COLLATE "C" NOT NULL,
    -- When it is to be forgotten; NULL: when it is replaced.
    expires_at BIGINT,
    -- From the counter 'retained', by each change: in the order of commits.
    revision   BIGINT NOT NULL DEFAULT 0,
    -- A topic may be longer than a key. As bytes it is what it is as a text, as far as a cast goes that doubles backslashes.
    topic_hash BYTEA GENERATED ALWAYS AS (sha256(CAST(replace(topic, '\', '\\') AS BYTEA))) STORED PRIMARY KEY
);

-- Of hashes that need not be different.
CREATE INDEX retained_by_topic ON retained USING hash (topic);

CREATE INDEX retained_by_revision ON retained (revision);

-- Who may publish and subscribe to what. What no rule allows is denied; a deny rule outweighs every allow rule.
CREATE TABLE acl_rules (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    subject_kind TEXT   COLLATE "C" NOT NULL CHECK (subject_kind IN ('everyone', 'role', 'user')),
    -- The role or the username. Not a foreign key: the user need not exist.
    subject      TEXT   COLLATE "C" CHECK ((subject IS NULL) = (subject_kind = 'everyone')),
    actions      TEXT   COLLATE "C" NOT NULL CHECK (actions IN ('publish', 'subscribe', 'both')),
    effect       TEXT   COLLATE "C" NOT NULL CHECK (effect IN ('allow', 'deny')),
    -- A topic filter in which %u stands for the user name and %c for the client id; %% is a percent sign.
    filter       TEXT   COLLATE "C" NOT NULL,
    description  TEXT   COLLATE "C",
    created_at   BIGINT NOT NULL
);

-- What a new installation allows. Administrators may change and delete these as any other.
INSERT INTO acl_rules (id, subject_kind, subject, actions, effect, filter, description, created_at)
SELECT id, subject_kind, subject, actions, 'allow', filter, description, CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) * 1000
FROM (VALUES
    ('builtin-inbox', 'everyone', NULL, 'subscribe', 'users/%u/#', 'Users read their own inbox.'),
    ('builtin-send', 'everyone', NULL, 'publish', 'users/%u/messages', 'Users send messages of their own.'),
    ('builtin-broadcast', 'everyone', NULL, 'subscribe', 'broadcast/#', 'Users read announcements.'),
    ('builtin-responses', 'everyone', NULL, 'subscribe', 'responses/%u/#', 'Users read the responses to their requests.'),
    ('builtin-announce', 'role', 'admin', 'publish', 'broadcast/#', 'Administrators announce.'),
    ('builtin-respond', 'role', 'admin', 'publish', 'responses/#', 'Administrators respond to requests.'),
    ('builtin-debug', 'role', 'admin', 'subscribe', '#', 'Administrators read everything, for debugging.'),
    ('builtin-sys', 'role', 'admin', 'subscribe', '$SYS/#', 'Administrators read the state of the broker.')
) AS seeds (id, subject_kind, subject, actions, filter, description);

-- Numbers that are given in the order of commits: whoever takes one changes the row, and so holds it to the commit.
CREATE TABLE counters (
    name  TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    -- The number that was given last.
    value BIGINT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('rights', 0), ('retained', 0), ('retained_forgotten', 0);

-- What has changed of who may do what, for servers that hold live sessions and rules in memory: they read what is newer
-- than what they know. Each row is written with the change itself.
CREATE TABLE rights_changes (
    -- From the counter 'rights': none is left out, and none is used again.
    id       BIGINT NOT NULL PRIMARY KEY,
    kind     TEXT   COLLATE "C" NOT NULL CHECK (kind IN ('policy', 'user', 'password', 'token', 'forgotten')),
    -- Not foreign keys: the user or the token may be gone.
    username TEXT   COLLATE "C" CHECK ((username IS NULL) = (kind = 'policy')),
    token_id TEXT   COLLATE "C" CHECK ((token_id IS NULL) = (kind <> 'token')),
    at       BIGINT NOT NULL
);

-- Who did what, when, and from where. An entry is never changed.
CREATE TABLE audit (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    action     TEXT   COLLATE "C" NOT NULL,
    -- Usernames, not foreign keys: what a user did outlives the account.
    actor      TEXT   COLLATE "C",
    -- What it was done to.
    target     TEXT   COLLATE "C",
    address    TEXT   COLLATE "C",
    request_id TEXT   COLLATE "C",
    detail     TEXT   COLLATE "C",
    -- How often the same happened within the minute after `at`.
    count      BIGINT NOT NULL
);

CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_actor ON audit (actor, id) WHERE actor IS NOT NULL;
CREATE INDEX audit_by_actor_and_action ON audit (actor, action, id) WHERE actor IS NOT NULL;

-- How many messages there are of each status: the sum of what each connection has counted, in a row of its own, so that none
-- waits for another. A row may be negative. Rows of connections that are gone are added to those of 0 at a start.
CREATE TABLE message_counts (
    status  TEXT   COLLATE "C" NOT NULL
        CHECK (status IN ('queued', 'processing', 'processed', 'dead', 'cancelled')),
    backend BIGINT NOT NULL,
    count   BIGINT NOT NULL,
    PRIMARY KEY (status, backend)
);

CREATE FUNCTION count_new_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message_counts (status, backend, count)
    SELECT status, pg_backend_pid(), COUNT(*) FROM new_rows GROUP BY status
    ON CONFLICT (status, backend) DO UPDATE SET count = message_counts.count + excluded.count;
    RETURN NULL;
END $$;

CREATE FUNCTION count_changed_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message_counts (status, backend, count)
    SELECT status, pg_backend_pid(), SUM(change)
    FROM (SELECT status, 1 AS change FROM new_rows UNION ALL SELECT status, -1 FROM old_rows) AS changes
    GROUP BY status HAVING SUM(change) <> 0
    ON CONFLICT (status, backend) DO UPDATE SET count = message_counts.count + excluded.count;
    RETURN NULL;
END $$;

CREATE FUNCTION count_deleted_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message_counts (status, backend, count)
    SELECT status, pg_backend_pid(), -COUNT(*) FROM old_rows GROUP BY status
    ON CONFLICT (status, backend) DO UPDATE SET count = message_counts.count + excluded.count;
    RETURN NULL;
END $$;

CREATE TRIGGER count_new_messages AFTER INSERT ON messages
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_new_messages();
CREATE TRIGGER count_changed_messages AFTER UPDATE ON messages
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_changed_messages();
-- Also for those that go with their account.
CREATE TRIGGER count_deleted_messages AFTER DELETE ON messages
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_messages();

-- Within what the numbers of inboxes may be compared.
CREATE TABLE epochs (
    id    BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Opaque; another one for each epoch.
    epoch TEXT   COLLATE "C" NOT NULL
);

INSERT INTO epochs (id, epoch) VALUES (1, substr(md5(gen_random_uuid()::text), 1, 16));

-- How many statements have given numbers, of each connection; as with message_counts.
CREATE TABLE inbox_changes (
    backend BIGINT NOT NULL PRIMARY KEY,
    changes BIGINT NOT NULL
);

CREATE FUNCTION count_inbox_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (backend, changes) VALUES (pg_backend_pid(), 1)
    ON CONFLICT (backend) DO UPDATE SET changes = inbox_changes.changes + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inbox_changes AFTER UPDATE OF last_seq ON inboxes
    FOR EACH STATEMENT EXECUTE FUNCTION count_inbox_changes();

-- A database in which there are fewer changes than there were known to be is an older one, restored. `epoch` may be updated.
CREATE VIEW inbox_epoch AS
SELECT id, epoch, (SELECT CAST(COALESCE(SUM(changes), 0) AS BIGINT) FROM inbox_changes) AS changes FROM epochs;

-- The servers that share this database, each for as long as it says every second that it is there.
CREATE TABLE nodes (
    -- Another one at each start, and after each time that the node was cut off.
    id          TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    -- What its machine calls itself.
    name        TEXT   COLLATE "C" NOT NULL,
    version     TEXT   COLLATE "C" NOT NULL,
    started_at  BIGINT NOT NULL,
    -- By the clock of the database. Whose lease has ended is gone: another node deletes the row, and inherits.
    lease_until BIGINT NOT NULL,
    -- The last change of rights that is in force there.
    rights_seen BIGINT NOT NULL,
    -- The process, which stays the same when the node joins anew.
    process     TEXT   COLLATE "C"
);

-- Which process has the session of a client.
CREATE TABLE mqtt_sessions (
    user_id      TEXT   COLLATE "C" NOT NULL,
    client_id    TEXT   COLLATE "C" NOT NULL,
    -- It stays the same when the node joins anew.
    process      TEXT   COLLATE "C" NOT NULL,
    -- Of the last takeover, counted by the process.
    number       BIGINT NOT NULL,
    -- Of the first takeover since another process had the session: what the process has from before is not the session any more.
    first_number BIGINT NOT NULL,
    -- What administrators know the session by.
    id           TEXT   COLLATE "C" NOT NULL,
    -- What the client signed in with; NULL: the password.
    token_id     TEXT   COLLATE "C",
    -- NULL: the session has no connection. The rest is of the last one then.
    peer         TEXT   COLLATE "C",
    transport    TEXT   COLLATE "C" NOT NULL,
    protocol     TEXT   COLLATE "C" NOT NULL,
    connected_at BIGINT NOT NULL,
    keep_alive_s BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);

CREATE INDEX mqtt_sessions_by_id ON mqtt_sessions (id);

CREATE INDEX mqtt_sessions_of_process ON mqtt_sessions (process);

-- Sessions that a process has to end, as another one or nobody is to have them. It deletes the row when it has.
CREATE TABLE mqtt_session_ends (
    user_id   TEXT   COLLATE "C" NOT NULL,
    client_id TEXT   COLLATE "C" NOT NULL,
    process   TEXT   COLLATE "C" NOT NULL,
    -- Up to which takeover.
    number    BIGINT NOT NULL,
    reason    TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, client_id, process)
);

CREATE INDEX mqtt_session_ends_of_process ON mqtt_session_ends (process);

-- The wills of clients that are connected, and of those that have gone and whose delay has not passed. If the process is gone, another
-- one publishes them.
CREATE TABLE mqtt_wills (
    user_id   TEXT   COLLATE "C" NOT NULL,
    client_id TEXT   COLLATE "C" NOT NULL,
    process   TEXT   COLLATE "C" NOT NULL,
    -- Of the takeover that brought it.
    number    BIGINT NOT NULL,
    -- What the client signed in with, and from where.
    token_id  TEXT   COLLATE "C",
    peer      TEXT   COLLATE "C",
    -- The last change of rights before: a later one may have ended the client's right to be there.
    rights    BIGINT NOT NULL,
    -- How long it waits once its client has gone.
    delay_ms  BIGINT NOT NULL,
    -- When that was; NULL: the client is connected, or was when the process ended.
    gone_at   BIGINT,
    -- In a form of the broker's own.
    will      TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, client_id)
);

CREATE INDEX mqtt_wills_of_process ON mqtt_wills (process);

-- Sign-ins that failed of late, and those that were right, by digests of what they are counted by.
CREATE TABLE sign_ins (
    sign_in_key TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    -- 0: it was right.
    failures    BIGINT NOT NULL,
    -- Until when it counts.
    ends_at     BIGINT NOT NULL
);

CREATE INDEX sign_ins_by_end ON sign_ins (ends_at);
