-- What may happen to a row of the ledger after it was written: it is held and decided, or another row undoes it.

ALTER TABLE actions
    ADD COLUMN kind     text NOT NULL DEFAULT 'completion' CHECK (kind IN ('completion', 'reversal', 'adjustment')),
    ADD COLUMN reverses bigint REFERENCES actions,
    ADD COLUMN reason   text,
    ALTER COLUMN action_type_id DROP NOT NULL,
    ALTER COLUMN action_identifier DROP NOT NULL,
    DROP CONSTRAINT actions_status_check,
    ADD CONSTRAINT actions_status_check CHECK (status IN ('awarded', 'held', 'rejected')),
    ADD CONSTRAINT actions_shape_check CHECK (
        CASE kind
            WHEN 'completion' THEN action_type_id IS NOT NULL AND action_identifier IS NOT NULL AND reverses IS NULL
            WHEN 'reversal' THEN reverses IS NOT NULL AND action_identifier IS NULL AND status = 'awarded'
            ELSE action_type_id IS NULL AND action_identifier IS NOT NULL AND reverses IS NULL AND status = 'awarded'
        END);
COMMENT ON COLUMN actions.score_earned IS 'What the row counts once it is awarded; a reversal counts the negative of what it undoes, so the awarded rows add up.';
COMMENT ON COLUMN actions.reverses IS 'The row that this one undoes.';
COMMENT ON COLUMN actions.reason IS 'In plain words: how a score came about where it is not the base score; why a row was undone or adjusted.';
-- Users choose the identifiers of their completions, so these must not stand in the way of an adjustment.
DROP INDEX actions_identifier;
CREATE UNIQUE INDEX actions_identifier ON actions (user_id, action_identifier) WHERE kind = 'completion';
CREATE UNIQUE INDEX actions_adjustment ON actions (user_id, action_identifier) WHERE kind = 'adjustment';
CREATE UNIQUE INDEX actions_reverses ON actions (reverses) WHERE reverses IS NOT NULL;

CREATE FUNCTION guard_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status = 'held' AND NEW.status IN ('awarded', 'rejected') THEN
            OLD.status := NEW.status;
            OLD.new_score := NEW.new_score;
        END IF;
        IF NEW.metadata IS NULL THEN
            OLD.metadata := NULL;
        END IF;
        IF OLD IS NOT DISTINCT FROM NEW THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'rows of the ledger are not changed: undo one with another'
        USING ERRCODE = 'insufficient_privilege';
END $$;
COMMENT ON FUNCTION guard_ledger() IS 'Lets a held row be decided and metadata be erased; refuses every other change.';
CREATE TRIGGER actions_guard BEFORE UPDATE OR DELETE ON actions FOR EACH ROW EXECUTE FUNCTION guard_ledger();
CREATE TRIGGER actions_guard_truncate BEFORE TRUNCATE ON actions FOR EACH STATEMENT EXECUTE FUNCTION guard_ledger();

CREATE TABLE reviews (
    action_id  bigint PRIMARY KEY REFERENCES actions,
    code       text NOT NULL,
    detail     text NOT NULL,
    decided_at timestamptz,
    decided_by text,
    reason     text
);
COMMENT ON TABLE reviews IS 'Why each held action was held, and what was decided; the decision itself is the status of the action.';
CREATE INDEX reviews_open ON reviews (action_id) WHERE decided_at IS NULL;

ALTER TABLE standings ADD COLUMN void boolean NOT NULL DEFAULT false, ADD CHECK (hidden OR NOT void);
COMMENT ON COLUMN standings.hidden IS 'Not on the board: the user is banned, shadowed or erased, or the standing is void.';
COMMENT ON COLUMN standings.void IS 'Everything that counted was undone. The row stays for its version, so that no older change brings it back.';

ALTER TABLE action_type_totals ADD COLUMN since timestamptz NOT NULL DEFAULT clock_timestamp();
COMMENT ON COLUMN action_type_totals.since IS 'Actions from then on are in the total.';
