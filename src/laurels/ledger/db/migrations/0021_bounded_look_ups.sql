-- What else a log-out and the computing of names read is found by an index of its own. Neither index has a row for
-- what a log-in, a refresh, a registration or an action writes.
CREATE INDEX refresh_tokens_user_ended ON refresh_tokens (user_id) WHERE revoked_at IS NOT NULL;
CREATE INDEX users_without_keys ON users (id) WHERE username_similar IS NULL;
