-- What the nodes may not do although they write. Run by the superuser after every migration.
\connect laurels
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO laurels;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO laurels;

-- What was awarded stays as it is; what was done by hand stays told.
REVOKE UPDATE, DELETE ON actions FROM laurels;
-- A held row is decided, an erased user's metadata removed; the trigger actions_guard refuses everything else.
GRANT UPDATE (status, new_score, metadata) ON actions TO laurels;
REVOKE UPDATE, DELETE ON audit FROM laurels;
REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM laurels;
