-- Few of many users have a delay of their own: they are listed by name without reading all.
CREATE INDEX users_with_delay ON users (username) WHERE delay IS NOT NULL;
