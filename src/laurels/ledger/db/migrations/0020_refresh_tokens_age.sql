-- Refresh tokens by their end: those that expired were found by reading everybody's.
CREATE INDEX refresh_tokens_age ON refresh_tokens (expires_at);
