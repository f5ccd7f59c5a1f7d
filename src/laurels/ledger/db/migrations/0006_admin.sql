-- What operators change over HTTP or from the command line: versions for who edits at the same time, boards that may
-- be archived or are being filled, settings that change at run time, and the look-ups of their lists.

ALTER TABLE action_types
    ADD COLUMN version    bigint NOT NULL DEFAULT 1,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN action_types.version IS 'Grows with every edit: an edit names the version it was made on.';

ALTER TABLE boards
    ADD COLUMN version     bigint NOT NULL DEFAULT 1,
    ADD COLUMN updated_at  timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN is_filled   boolean NOT NULL DEFAULT true,
    ADD COLUMN archived_at timestamptz,
    ADD CHECK (NOT is_default OR archived_at IS NULL);
COMMENT ON COLUMN boards.is_filled IS 'False while what counted before the board was there is folded into it.';
COMMENT ON COLUMN boards.archived_at IS 'Shown nowhere and counted no more; its standings stay.';

CREATE TABLE settings (
    name       text PRIMARY KEY,
    value      jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE settings IS 'What overrides the environment, on every node, while it runs.';

CREATE INDEX audit_act ON audit (act, id);
-- Prefixes of names, whatever the database's collation.
CREATE INDEX users_name_prefix ON users (username_fold COLLATE "C", id);
