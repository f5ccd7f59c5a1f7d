-- Create the roles. Run by the superuser, before the migrations and again after them; idempotent.
--   laurels_owner  owns the schema and migrates it; no node has its password
--   laurels        the role of the nodes: reads and writes rows, can't change the schema or awards
--   laurels_watch  statistics for the exporter, no rows
-- The passwords are psql variables: owner_password, service_password, watch_password.

SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['laurels_owner', 'laurels', 'laurels_watch']) name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE laurels_owner PASSWORD :'owner_password';
ALTER ROLE laurels PASSWORD :'service_password' CONNECTION LIMIT 90;
ALTER ROLE laurels_watch PASSWORD :'watch_password' CONNECTION LIMIT 6;
GRANT pg_monitor TO laurels_watch;

SELECT 'CREATE DATABASE laurels OWNER laurels_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'laurels') \gexec
REVOKE ALL ON DATABASE laurels FROM PUBLIC;
GRANT CONNECT ON DATABASE laurels TO laurels, laurels_watch;
GRANT TEMPORARY ON DATABASE laurels TO laurels;  -- ranks are recorded through a temporary table

\connect laurels
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO laurels_owner;
GRANT USAGE ON SCHEMA public TO laurels;
GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO laurels;

ALTER DEFAULT PRIVILEGES FOR ROLE laurels_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO laurels;
ALTER DEFAULT PRIVILEGES FOR ROLE laurels_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO laurels;
