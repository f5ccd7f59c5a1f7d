-- Restrict the rights of the nodes. Run by the superuser after every migration.
\connect laurels
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO laurels;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO laurels;

-- Awards can't be changed, nor the audit trail.
REVOKE UPDATE, DELETE ON actions FROM laurels;
-- Needed to decide held rows and to erase a user's metadata; the trigger actions_guard refuses everything else.
GRANT UPDATE (status, new_score, metadata) ON actions TO laurels;
REVOKE UPDATE, DELETE ON audit FROM laurels;
REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM laurels;
