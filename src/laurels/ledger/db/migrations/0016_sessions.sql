-- Tokens that end before their time: after a new password, "log out everywhere", a log-out, erasure.

ALTER TABLE users ADD COLUMN token_generation integer NOT NULL DEFAULT 0, ADD COLUMN tokens_not_before timestamptz;
COMMENT ON COLUMN users.token_generation IS
    'Our own tokens carry it; those of an older generation are refused. No clock has a part in it.';
COMMENT ON COLUMN users.tokens_not_before IS
    'Tokens of outside issuers that were issued in this second or earlier are refused.';
CREATE INDEX users_tokens_ended ON users (tokens_not_before) WHERE tokens_not_before IS NOT NULL;

ALTER TABLE refresh_tokens
    ADD COLUMN generation integer NOT NULL DEFAULT 0,
    ADD COLUMN access_until timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN successor bytea;
COMMENT ON COLUMN refresh_tokens.family IS 'One log-in. Access tokens carry it as `sid`.';
COMMENT ON COLUMN refresh_tokens.access_until IS 'When the access token that came with this one expires.';
COMMENT ON COLUMN refresh_tokens.successor IS
    'The token that this one was traded for, readable only with this one. Kept for a short while, for lost replies.';
CREATE INDEX refresh_tokens_ended ON refresh_tokens (access_until) WHERE revoked_at IS NOT NULL;
CREATE INDEX refresh_tokens_successor ON refresh_tokens (used_at) WHERE successor IS NOT NULL;

CREATE TABLE erased_subjects (
    digest            bytea PRIMARY KEY,
    tokens_not_before timestamptz NOT NULL
);
COMMENT ON TABLE erased_subjects IS
    'SHA-256 of issuer and subject of erased users: their older tokens must not open a new account.';

ALTER TABLE journal DROP CONSTRAINT journal_kind_check;
ALTER TABLE journal ADD CONSTRAINT journal_kind_check
    CHECK (kind IN ('standings', 'users', 'catalogue', 'snapshot', 'sessions', 'barrier'));
COMMENT ON TABLE audit IS
    'Append only. Holds ids, and the addresses of log-ins; never names or secrets: it outlives an erased user.';
