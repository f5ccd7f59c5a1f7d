-- Who changed what by hand, and why. Written in the transaction of the change, never altered.

CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text NOT NULL,
    act        text NOT NULL,
    subject    text NOT NULL,
    before     jsonb,
    after      jsonb,
    reason     text,
    request_id text
);
COMMENT ON TABLE audit IS 'Append only. Holds ids, never names, addresses or secrets: it outlives an erased user.';
COMMENT ON COLUMN audit.actor IS 'user:ID, key:ID, operator:LOGIN (the command line), or system.';
COMMENT ON COLUMN audit.subject IS 'What was changed: user:ID, action:ID, action_type:NAME, board:SLUG, key:ID, …';
CREATE INDEX audit_subject ON audit (subject, id);
CREATE INDEX audit_actor ON audit (actor, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
