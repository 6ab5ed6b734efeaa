-- Why the message was last put back without an attempt, as there was nobody to process it. An attempt that fails clears it;
-- it says nothing of a message that has ended.
ALTER TABLE messages ADD COLUMN outage TEXT;
