-- Each list that a user can ask for is a walk through an index that has its items, and no others, in its order.
CREATE INDEX messages_queued_of_user ON messages (user_id, id) WHERE status = 'queued';
CREATE INDEX messages_ended_of_user ON messages (user_id, status, id) WHERE processed_at IS NOT NULL;
CREATE INDEX audit_by_actor_and_action ON audit (actor, action, id) WHERE actor IS NOT NULL;
