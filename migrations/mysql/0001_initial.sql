-- The same for MariaDB and MySQL. What differs from migrations/postgres:
--
-- * A statement that changes a table commits by itself, so a migration may end half-way. The next start runs it again from its
--   beginning: each statement has to do nothing if it was done before.
-- * Texts are compared byte by byte by the collation of each table. The migrator writes MySQL's own for utf8mb4_nopad_bin.
-- * A key is a VARCHAR that is as long as what is kept in it may be; all that users send is LONGTEXT.
-- * An index has no condition: one of the status is its first column instead.
-- * No triggers, which many a user may not create: what is counted is counted by Herald's own statements.

CREATE TABLE IF NOT EXISTS users (
    id            VARCHAR(64) NOT NULL PRIMARY KEY,
    username      VARCHAR(64) NOT NULL UNIQUE,
    role          VARCHAR(16) NOT NULL CHECK (role IN ('user', 'admin')),
    password_hash TEXT        NOT NULL,
    disabled      BIGINT      NOT NULL DEFAULT 0,
    created_at    BIGINT      NOT NULL,
    -- How long the messages of this user wait, if not as long as those of all others.
    delay         TEXT,
    -- The account is being deleted: nobody gets into it any more, whatever else is changed of it.
    closed        BIGINT      NOT NULL DEFAULT 0
) COLLATE utf8mb4_nopad_bin;

-- How far each inbox has come, apart from the account: an insert that refers to an account locks its row.
CREATE TABLE IF NOT EXISTS inboxes (
    user_id   VARCHAR(64) NOT NULL PRIMARY KEY,
    -- The number of the newest notification; 0 before the first.
    last_seq  BIGINT      NOT NULL DEFAULT 0,
    -- The highest number that any session of the user acknowledged.
    acked_seq BIGINT      NOT NULL DEFAULT 0,
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) COLLATE utf8mb4_nopad_bin;

-- The messages of each user that wait are that user's queue. Claims go from queue to queue, so that a user with very many does
-- not hold back the others.
CREATE TABLE IF NOT EXISTS user_queues (
    user_id      VARCHAR(64) NOT NULL PRIMARY KEY,
    -- Messages that are queued or being processed.
    open         BIGINT      NOT NULL,
    -- When the queue is to be looked at: its earliest message is due then, or was due before it last had a turn. NULL if
    -- nothing is queued.
    turn_at      BIGINT,
    -- How much room the user takes: the bytes of the texts that are kept, and a fixed number for each row.
    stored_bytes BIGINT      NOT NULL DEFAULT 0,
    KEY user_queues_by_turn (turn_at),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) COLLATE utf8mb4_nopad_bin;

-- Sessions of browsers.
CREATE TABLE IF NOT EXISTS sessions (
    id           VARCHAR(64)  NOT NULL PRIMARY KEY,
    secret_hash  VARCHAR(255) NOT NULL UNIQUE,
    user_id      VARCHAR(64)  NOT NULL,
    csrf_token   TEXT         NOT NULL,
    -- Where it began, and what the browser called itself then.
    address      TEXT         NOT NULL,
    user_agent   TEXT,
    created_at   BIGINT       NOT NULL,
    -- Within some minutes.
    last_used_at BIGINT       NOT NULL,
    expires_at   BIGINT       NOT NULL,
    KEY sessions_of_user (user_id, id),
    KEY sessions_by_expiry (expires_at),
    KEY sessions_by_use (last_used_at),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS tokens (
    id           VARCHAR(64)  NOT NULL PRIMARY KEY,
    user_id      VARCHAR(64)  NOT NULL,
    name         TEXT         NOT NULL,
    scope_api    BIGINT       NOT NULL,
    scope_mqtt   BIGINT       NOT NULL,
    token_hash   VARCHAR(255) NOT NULL UNIQUE,
    created_at   BIGINT       NOT NULL,
    expires_at   BIGINT,
    -- Within some minutes.
    last_used_at BIGINT,
    -- What a token was made by ends with that: a session that needed it for MQTT, or another token.
    session_id   VARCHAR(64),
    parent_id    VARCHAR(64),
    KEY tokens_of_user (user_id, id),
    KEY tokens_of_session (session_id, id),
    KEY tokens_of_parent (parent_id),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    FOREIGN KEY (parent_id) REFERENCES tokens (id) ON DELETE CASCADE
) COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS settings (
    name  VARCHAR(64) NOT NULL PRIMARY KEY,
    value TEXT        NOT NULL
) COLLATE utf8mb4_nopad_bin;

-- Which transaction each connection that writes has committed last: who loses a connection while a commit is under way reads
-- here what came of it.
CREATE TABLE IF NOT EXISTS last_commits (
    writer VARCHAR(64) NOT NULL PRIMARY KEY,
    number BIGINT      NOT NULL,
    -- A row that is old is of a connection that is gone.
    at     BIGINT      NOT NULL
) COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS messages (
    id              VARCHAR(64) NOT NULL PRIMARY KEY,
    user_id         VARCHAR(64) NOT NULL,
    body            LONGTEXT    NOT NULL,
    idempotency_key VARCHAR(255),
    status          VARCHAR(16) NOT NULL
        CHECK (status IN ('queued', 'processing', 'processed', 'dead', 'cancelled')),
    -- A processed message without a result has its body as the result.
    result          LONGTEXT,
    attempts        BIGINT      NOT NULL DEFAULT 0,
    created_at      BIGINT      NOT NULL,
    run_at          BIGINT      NOT NULL,
    -- Who works on it, and until when; both only while the status is 'processing'.
    lease           VARCHAR(128),
    lease_until     BIGINT,
    processed_at    BIGINT,
    delivered_at    BIGINT,
    -- How often processing has failed since the message was last put into the queue by a person.
    failures        BIGINT      NOT NULL DEFAULT 0,
    -- Why the message was last put back without an attempt, as there was nobody to process it.
    outage          LONGTEXT,
    -- When it is due, when its lease ends, or when it ended: whichever its status is about. One index for what are three elsewhere,
    -- as each costs a place in it for every message, whatever its status.
    status_at       BIGINT AS (CASE status WHEN 'queued' THEN run_at WHEN 'processing' THEN lease_until ELSE processed_at END) STORED,
    -- One index for each way in which messages are looked for.
    KEY messages_of_user (user_id, id),
    UNIQUE KEY messages_by_key (user_id, idempotency_key),
    KEY messages_queued (status, user_id, run_at, id),
    KEY messages_by_time (status, status_at, id),
    -- Also for those that are queued.
    KEY messages_ended_of_user (user_id, status, id),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) COLLATE utf8mb4_nopad_bin;

-- Why each attempt failed.
CREATE TABLE IF NOT EXISTS failed_attempts (
    message_id VARCHAR(64) NOT NULL,
    attempt    BIGINT      NOT NULL,
    error      LONGTEXT    NOT NULL,
    failed_at  BIGINT      NOT NULL,
    PRIMARY KEY (message_id, attempt),
    FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE
) COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS notifications (
    user_id    VARCHAR(64) NOT NULL,
    seq        BIGINT      NOT NULL,
    -- Not a foreign key: the number stays when the message is gone.
    message_id VARCHAR(64) NOT NULL,
    -- How the message ended, with which attempt, and when.
    status     VARCHAR(16) NOT NULL CHECK (status IN ('processed', 'dead')),
    attempts   BIGINT      NOT NULL,
    created_at BIGINT      NOT NULL,
    PRIMARY KEY (user_id, seq),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) COLLATE utf8mb4_nopad_bin;

-- Where each client id that asked for a session to be kept stopped in its user's inbox. It outlives the session.
CREATE TABLE IF NOT EXISTS cursors (
    user_id    VARCHAR(64)  NOT NULL,
    client_id  VARCHAR(256) NOT NULL,
    -- The highest number that the client acknowledged, or where it began.
    seq        BIGINT       NOT NULL,
    -- When it was last used.
    updated_at BIGINT       NOT NULL,
    PRIMARY KEY (user_id, client_id),
    KEY cursors_by_age (updated_at),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) COLLATE utf8mb4_nopad_bin;

-- The last message of each topic that was published with the retain flag (MQTT 5 section 3.3.1.3). One without a payload says that
-- the topic has none any more.
CREATE TABLE IF NOT EXISTS retained (
    topic      LONGTEXT NOT NULL,
    payload    LONGBLOB NOT NULL,
    -- Level and properties, in a form of the broker's own.
    attributes LONGTEXT NOT NULL,
    -- When it is to be forgotten; NULL: when it is replaced.
    expires_at BIGINT,
    -- From the counter 'retained', by each change: in the order of commits.
    revision   BIGINT   NOT NULL DEFAULT 0,
    -- A topic may be longer than a key.
    topic_hash BINARY(32) AS (UNHEX(SHA2(topic, 256))) STORED,
    -- What is computed can be no primary key, and a cluster asks for one.
    row_id     BIGINT   NOT NULL AUTO_INCREMENT PRIMARY KEY,
    UNIQUE KEY retained_topic_hash (topic_hash),
    KEY retained_topic (topic(255)),
    KEY retained_by_expiry (expires_at),
    KEY retained_by_revision (revision)
) COLLATE utf8mb4_nopad_bin;

-- Who may publish and subscribe to what. What no rule allows is denied; a deny rule outweighs every allow rule.
CREATE TABLE IF NOT EXISTS acl_rules (
    id           VARCHAR(64) NOT NULL PRIMARY KEY,
    subject_kind VARCHAR(16) NOT NULL CHECK (subject_kind IN ('everyone', 'role', 'user')),
    -- The role or the username. Not a foreign key: the user need not exist.
    subject      VARCHAR(64),
    CHECK ((subject IS NULL) = (subject_kind = 'everyone')),
    actions      VARCHAR(16) NOT NULL CHECK (actions IN ('publish', 'subscribe', 'both')),
    effect       VARCHAR(16) NOT NULL CHECK (effect IN ('allow', 'deny')),
    -- A topic filter in which %u stands for the user name and %c for the client id; %% is a percent sign.
    filter       TEXT        NOT NULL,
    description  TEXT,
    created_at   BIGINT      NOT NULL
) COLLATE utf8mb4_nopad_bin;

-- What a new installation allows. Administrators may change and delete these as any other.
INSERT IGNORE INTO acl_rules (id, subject_kind, subject, actions, effect, filter, description, created_at) VALUES
    ('builtin-inbox', 'everyone', NULL, 'subscribe', 'allow', 'users/%u/#', 'Users read their own inbox.', UNIX_TIMESTAMP() * 1000),
    ('builtin-send', 'everyone', NULL, 'publish', 'allow', 'users/%u/messages', 'Users send messages of their own.', UNIX_TIMESTAMP() * 1000),
    ('builtin-broadcast', 'everyone', NULL, 'subscribe', 'allow', 'broadcast/#', 'Users read announcements.', UNIX_TIMESTAMP() * 1000),
    ('builtin-responses', 'everyone', NULL, 'subscribe', 'allow', 'responses/%u/#', 'Users read the responses to their requests.', UNIX_TIMESTAMP() * 1000),
    ('builtin-announce', 'role', 'admin', 'publish', 'allow', 'broadcast/#', 'Administrators announce.', UNIX_TIMESTAMP() * 1000),
    ('builtin-respond', 'role', 'admin', 'publish', 'allow', 'responses/#', 'Administrators respond to requests.', UNIX_TIMESTAMP() * 1000),
    ('builtin-debug', 'role', 'admin', 'subscribe', 'allow', '#', 'Administrators read everything, for debugging.', UNIX_TIMESTAMP() * 1000),
    ('builtin-sys', 'role', 'admin', 'subscribe', 'allow', '$SYS/#', 'Administrators read the state of the broker.', UNIX_TIMESTAMP() * 1000);

-- Numbers that are given in the order of commits: whoever takes one changes the row, and so holds it to the commit.
CREATE TABLE IF NOT EXISTS counters (
    name  VARCHAR(64) NOT NULL PRIMARY KEY,
    -- The number that was given last.
    value BIGINT      NOT NULL
) COLLATE utf8mb4_nopad_bin;

INSERT IGNORE INTO counters (name, value) VALUES ('rights', 0), ('retained', 0), ('retained_forgotten', 0);

-- What has changed of who may do what, for servers that hold live sessions and rules in memory: they read what is newer
-- than what they know. Each row is written with the change itself.
CREATE TABLE IF NOT EXISTS rights_changes (
    -- From the counter 'rights': none is left out, and none is used again.
    id       BIGINT      NOT NULL PRIMARY KEY,
    kind     VARCHAR(16) NOT NULL CHECK (kind IN ('policy', 'user', 'password', 'token', 'forgotten')),
    -- Not foreign keys: the user or the token may be gone.
    username VARCHAR(64),
    CHECK ((username IS NULL) = (kind = 'policy')),
    token_id VARCHAR(64),
    CHECK ((token_id IS NULL) = (kind <> 'token')),
    at       BIGINT      NOT NULL
) COLLATE utf8mb4_nopad_bin;

-- Who did what, when, and from where. An entry is never changed.
CREATE TABLE IF NOT EXISTS audit (
    id         VARCHAR(64)  NOT NULL PRIMARY KEY,
    at         BIGINT       NOT NULL,
    action     VARCHAR(64)  NOT NULL,
    -- Usernames, not foreign keys: what a user did outlives the account.
    actor      VARCHAR(255),
    -- What it was done to.
    target     TEXT,
    address    TEXT,
    request_id TEXT,
    detail     TEXT,
    -- How often the same happened within the minute after `at`.
    count      BIGINT       NOT NULL,
    KEY audit_by_action (action, id),
    KEY audit_by_actor (actor, id),
    KEY audit_by_actor_and_action (actor, action, id)
) COLLATE utf8mb4_nopad_bin;

-- How many messages there are of each status: the sum of what each connection has counted, in a row of its own, so that none
-- waits for another; there are 256 rows of a status at most. A row may be negative.
CREATE TABLE IF NOT EXISTS message_counts (
    status  VARCHAR(16) NOT NULL
        CHECK (status IN ('queued', 'processing', 'processed', 'dead', 'cancelled')),
    backend BIGINT      NOT NULL,
    count   BIGINT      NOT NULL,
    PRIMARY KEY (status, backend)
) COLLATE utf8mb4_nopad_bin;

-- Within what the numbers of inboxes may be compared.
CREATE TABLE IF NOT EXISTS epochs (
    id    BIGINT      NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Opaque; another one for each epoch.
    epoch VARCHAR(64) NOT NULL
) COLLATE utf8mb4_nopad_bin;

INSERT IGNORE INTO epochs (id, epoch) VALUES (1, LOWER(HEX(RANDOM_BYTES(8))));

-- How many transactions have given numbers, of each connection; as with message_counts.
CREATE TABLE IF NOT EXISTS inbox_changes (
    backend BIGINT NOT NULL PRIMARY KEY,
    changes BIGINT NOT NULL
) COLLATE utf8mb4_nopad_bin;

-- A database in which there are fewer changes than there were known to be is an older one, restored. `epoch` may be updated.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW inbox_epoch AS
SELECT id, epoch, (SELECT CAST(COALESCE(SUM(changes), 0) AS SIGNED) FROM inbox_changes) AS changes FROM epochs;

-- The servers that share this database, each for as long as it says every second that it is there.
CREATE TABLE IF NOT EXISTS nodes (
    -- Another one at each start, and after each time that the node was cut off.
    id          VARCHAR(64)  NOT NULL PRIMARY KEY,
    -- What its machine calls itself.
    name        VARCHAR(255) NOT NULL,
    version     VARCHAR(64)  NOT NULL,
    started_at  BIGINT       NOT NULL,
    -- By the clock of the database. Whose lease has ended is gone: another node deletes the row, and inherits.
    lease_until BIGINT       NOT NULL,
    -- The last change of rights that is in force there.
    rights_seen BIGINT       NOT NULL,
    -- The process, which stays the same when the node joins anew.
    process     VARCHAR(64)
) COLLATE utf8mb4_nopad_bin;

-- Which process has the session of a client.
CREATE TABLE IF NOT EXISTS mqtt_sessions (
    user_id      VARCHAR(64)  NOT NULL,
    client_id    VARCHAR(256) NOT NULL,
    -- It stays the same when the node joins anew.
    process      VARCHAR(64)  NOT NULL,
    -- Of the last takeover, counted by the process.
    number       BIGINT       NOT NULL,
    -- Of the first takeover since another process had the session: what the process has from before is not the session any more.
    first_number BIGINT       NOT NULL,
    -- What administrators know the session by.
    id           VARCHAR(64)  NOT NULL,
    -- What the client signed in with; NULL: the password.
    token_id     VARCHAR(64),
    -- NULL: the session has no connection. The rest is of the last one then.
    peer         VARCHAR(64),
    transport    VARCHAR(16)  NOT NULL,
    protocol     VARCHAR(16)  NOT NULL,
    connected_at BIGINT       NOT NULL,
    keep_alive_s BIGINT       NOT NULL,
    PRIMARY KEY (user_id, client_id),
    KEY mqtt_sessions_by_id (id),
    KEY mqtt_sessions_of_process (process)
) COLLATE utf8mb4_nopad_bin;

-- Sessions that a process has to end, as another one or nobody is to have them. It deletes the row when it has.
CREATE TABLE IF NOT EXISTS mqtt_session_ends (
    user_id   VARCHAR(64)  NOT NULL,
    client_id VARCHAR(256) NOT NULL,
    process   VARCHAR(64)  NOT NULL,
    -- Up to which takeover.
    number    BIGINT       NOT NULL,
    reason    VARCHAR(16)  NOT NULL,
    PRIMARY KEY (user_id, client_id, process),
    KEY mqtt_session_ends_of_process (process)
) COLLATE utf8mb4_nopad_bin;

-- The wills of clients that are connected, and of those that have gone and whose delay has not passed. If the process is gone, another
-- one publishes them.
CREATE TABLE IF NOT EXISTS mqtt_wills (
    user_id   VARCHAR(64)  NOT NULL,
    client_id VARCHAR(256) NOT NULL,
    process   VARCHAR(64)  NOT NULL,
    -- Of the takeover that brought it.
    number    BIGINT       NOT NULL,
    -- What the client signed in with, and from where.
    token_id  VARCHAR(64),
    peer      VARCHAR(64),
    -- The last change of rights before: a later one may have ended the client's right to be there.
    rights    BIGINT       NOT NULL,
    -- How long it waits once its client has gone.
    delay_ms  BIGINT       NOT NULL,
    -- When that was; NULL: the client is connected, or was when the process ended.
    gone_at   BIGINT,
    -- In a form of the broker's own.
    will      LONGTEXT     NOT NULL,
    PRIMARY KEY (user_id, client_id),
    KEY mqtt_wills_of_process (process)
) COLLATE utf8mb4_nopad_bin;

-- What nodes tell each other, for some seconds.
CREATE TABLE IF NOT EXISTS node_frames (
    -- Who says it. Not a foreign key: the row of the node is changed every second, and need not be waited for.
    node   VARCHAR(64) NOT NULL,
    -- Dense for each node, unless something is missing.
    number BIGINT      NOT NULL,
    frames TEXT        NOT NULL,
    PRIMARY KEY (node, number)
) COLLATE utf8mb4_nopad_bin;

-- The same of what is published to shared topics.
CREATE TABLE IF NOT EXISTS shared_frames (
    node   VARCHAR(64) NOT NULL,
    number BIGINT      NOT NULL,
    frames TEXT        NOT NULL,
    PRIMARY KEY (node, number)
) COLLATE utf8mb4_nopad_bin;

-- Sign-ins that failed of late, and those that were right, by digests of what they are counted by.
CREATE TABLE IF NOT EXISTS sign_ins (
    sign_in_key CHAR(64) NOT NULL PRIMARY KEY,
    -- 0: it was right.
    failures    BIGINT   NOT NULL,
    -- Until when it counts.
    ends_at     BIGINT   NOT NULL,
    KEY sign_ins_by_end (ends_at)
) COLLATE utf8mb4_nopad_bin;
