//! All kinds of rows: each status and NULL, ids in an order that a language would change, numbers at their ends, texts and
//! bytes that look like something else.

/// What a database file with the tables of Herald is filled by.
pub(crate) const ALL_KINDS: &str = r#"
INSERT INTO users (id, username, role, password_hash, disabled, created_at, delay, closed) VALUES
    ('b', 'alice', 'admin', '$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA', 0, 1795341600000, NULL, 0),
    ('B', 'al-ice', 'user', '', 1, 0, '{"mode":"fixed","ms":5}', 0),
    ('a_', 'al.ice', 'user', 'x', 0, -1, NULL, 1),
    ('ä', 'al_ice', 'user', 'x', 0, 9223372036854775807, NULL, 0),
    ('0199', '0', 'user', 'x', 0, -9223372036854775807, NULL, 0);
INSERT INTO inboxes (user_id, last_seq, acked_seq) VALUES
    ('b', 4611686018427387904, 3), ('B', 0, 0), ('a_', 7, 7), ('ä', 1, 0), ('0199', 0, 0);
INSERT INTO user_queues (user_id, open, turn_at, stored_bytes) VALUES
    ('b', 2, 1795341600000, 123456789012), ('B', 0, NULL, 0), ('a_', 0, NULL, 1), ('ä', 1, 0, 0), ('0199', 0, NULL, 0);
INSERT INTO sessions (id, secret_hash, user_id, csrf_token, address, user_agent, created_at, last_used_at, expires_at) VALUES
    ('s1', 'h1', 'b', 'c', '2001:db8::1', 'Mozilla/5.0 (X11; ☃)', 1, 2, 3),
    ('S1', 'H1', 'ä', '', '', NULL, 1, 2, 3);
-- What a token was made by comes behind it.
INSERT INTO tokens (id, user_id, name, scope_api, scope_mqtt, token_hash, created_at, expires_at, last_used_at, session_id, parent_id)
VALUES
    ('t9', 'b', 'oldest', 1, 1, 'th9', 1, NULL, NULL, NULL, NULL),
    ('t5', 'b', 'its child', 0, 1, 'th5', 2, 99, 5, NULL, 't9'),
    ('t1', 'b', 'its grandchild', 1, 0, 'th1', 3, NULL, NULL, NULL, 't5'),
    ('t0', 'ä', 'of a session', 0, 1, 'th0', 3, 4, NULL, 'S1', NULL);
INSERT INTO settings (name, value) VALUES ('delay', '{"mode":"uniform","min_ms":1,"max_ms":2}'), ('Delay', ''), ('paused', '1');
DELETE FROM acl_rules WHERE id = 'builtin-debug';
UPDATE acl_rules SET description = NULL WHERE id = 'builtin-send';
INSERT INTO acl_rules (id, subject_kind, subject, actions, effect, filter, description, created_at) VALUES
    ('r', 'user', 'alice', 'both', 'deny', 'a/%%/+/#', 'It''s "quoted" \ and `so`.', 5);
UPDATE counters SET value = 41 WHERE name = 'rights';
INSERT INTO rights_changes (id, kind, username, token_id, at) VALUES
    (39, 'policy', NULL, NULL, 1), (40, 'token', 'alice', 't9', 2), (41, 'password', 'al-ice', NULL, 3);
INSERT INTO retained (topic, payload, attributes, expires_at) VALUES
    ('broadcast/a', x'00ff0a5c27', '{}', NULL), ('broadcast/A', x'', '', 17), ('broadcast/a ', x'24312424', '{"qos":1}', NULL);
INSERT INTO cursors (user_id, client_id, seq, updated_at) VALUES
    ('b', 'phone', 1, 1), ('b', 'phone ', 2, 2), ('b', 'Phone', 3, 3), ('b', 'phóne', 4, 4), ('b', '', 5, 5),
    ('ä', '💬', 6, 6), ('a_', 'ﬀ', 7, 7);
INSERT INTO messages (id, user_id, body, idempotency_key, status, result, attempts, created_at, run_at, lease, lease_until,
    processed_at, delivered_at, failures, outage)
VALUES
    ('m1', 'b', 'hello', NULL, 'queued', NULL, 0, 1, 2, NULL, NULL, NULL, NULL, 0, NULL),
    ('M1', 'b', 'Grüße, 日本 🎉 ' || char(9, 10, 13, 1, 127) || '\n\\ ''$1 ? %s', 'key', 'processing', NULL, 3, 1, 2, 'lease', 3, NULL, NULL, 2, 'down'),
    ('m2', 'b', ' ', 'Key', 'processed', '', 1, 1, 2, NULL, NULL, 5, 6, 0, NULL),
    ('m-', 'ä', hex(zeroblob(300000)), 'key', 'processed', NULL, 1, 1, 2, NULL, NULL, 5, NULL, 0, NULL),
    ('10', 'ä', 'e' || char(769), NULL, 'dead', NULL, 12, 1, 2, NULL, NULL, 5, NULL, 12, NULL),
    ('9', 'a_', 'x', NULL, 'cancelled', NULL, 0, 1, 2, NULL, NULL, 5, NULL, 0, NULL);
INSERT INTO failed_attempts (message_id, attempt, error, failed_at) VALUES
    ('10', 9, 'it broke', 1), ('10', 10, '', 2), ('10', 11, 'x', 3), ('M1', 2, 'NULL', 4);
INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at) VALUES
    ('b', 4611686018427387903, 'gone', 'processed', 1, 1), ('b', 4611686018427387904, 'm2', 'processed', 1, 2),
    ('b', 9, 'gone', 'dead', 12, 1), ('b', 10, 'gone', 'dead', 12, 1), ('ä', 1, '10', 'dead', 12, 1);
INSERT INTO audit (id, at, action, actor, target, address, request_id, detail, count) VALUES
    ('u1', 1, 'user.created', 'alice', 'al-ice', '127.0.0.1', 'req', 'role user', 1),
    ('U1', 2, 'login.failed', NULL, NULL, NULL, NULL, NULL, 60);
UPDATE inbox_epoch SET epoch = '5f1c9a04b2d8e673', changes = 4711;
"#;

/// Every table that is not empty after [`ALL_KINDS`].
pub(crate) const TABLES: usize = 15;
