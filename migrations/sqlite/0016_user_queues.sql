-- The messages of each user that wait are that user's queue.
ALTER TABLE lanes RENAME TO user_queues;
DROP INDEX lanes_by_turn;
CREATE INDEX user_queues_by_turn ON user_queues (turn_at) WHERE turn_at IS NOT NULL;
