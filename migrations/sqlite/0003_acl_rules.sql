-- Who may publish and subscribe to what. What no rule allows is denied; a deny rule outweighs every allow rule.
CREATE TABLE acl_rules (
    id           TEXT   NOT NULL PRIMARY KEY,
    subject_kind TEXT   NOT NULL CHECK (subject_kind IN ('everyone', 'role', 'user')),
    -- The role or the username. Not a foreign key: the user need not exist.
    subject      TEXT   CHECK ((subject IS NULL) = (subject_kind = 'everyone')),
    actions      TEXT   NOT NULL CHECK (actions IN ('publish', 'subscribe', 'both')),
    effect       TEXT   NOT NULL CHECK (effect IN ('allow', 'deny')),
    -- A topic filter in which %u stands for the user name and %c for the client id; %% is a percent sign.
    filter       TEXT   NOT NULL,
    description  TEXT,
    created_at   BIGINT NOT NULL
);

-- What a new installation allows. Administrators may change and delete these as any other.
INSERT INTO acl_rules (id, subject_kind, subject, actions, effect, filter, description, created_at)
SELECT id, subject_kind, subject, actions, 'allow', filter, description,
    CAST(strftime('%s', 'now') AS INTEGER) * 1000
FROM (
    SELECT 'builtin-inbox' AS id, 'everyone' AS subject_kind, NULL AS subject, 'subscribe' AS actions,
        'users/%u/#' AS filter, 'Users read their own inbox.' AS description
    UNION ALL SELECT 'builtin-send', 'everyone', NULL, 'publish',
        'users/%u/messages', 'Users send messages of their own.'
    UNION ALL SELECT 'builtin-broadcast', 'everyone', NULL, 'subscribe',
        'broadcast/#', 'Users read announcements.'
    UNION ALL SELECT 'builtin-responses', 'everyone', NULL, 'subscribe',
        'responses/%u/#', 'Users read the responses to their requests.'
    UNION ALL SELECT 'builtin-announce', 'role', 'admin', 'publish',
        'broadcast/#', 'Administrators announce.'
    UNION ALL SELECT 'builtin-respond', 'role', 'admin', 'publish',
        'responses/#', 'Administrators respond to requests.'
    UNION ALL SELECT 'builtin-debug', 'role', 'admin', 'subscribe',
        '#', 'Administrators read everything, for debugging.'
    UNION ALL SELECT 'builtin-sys', 'role', 'admin', 'subscribe',
        '$SYS/#', 'Administrators read the state of the broker.'
) AS seeds;
