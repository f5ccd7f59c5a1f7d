-- Erasing a person finds the frozen lists that name them; deciding about a held row changes its status alone.

CREATE INDEX scoreboard_snapshots_people ON scoreboard_snapshots USING gin (top_scores jsonb_path_ops);

CREATE OR REPLACE FUNCTION guard_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status = 'held' AND NEW.status IN ('awarded', 'rejected') THEN
            OLD.status := NEW.status;
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
