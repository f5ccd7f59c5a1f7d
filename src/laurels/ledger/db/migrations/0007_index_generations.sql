-- Which copy of a window in a shared index is the right one, and how far it is known to be complete.

CREATE TABLE index_generations (
    window_id  bigint PRIMARY KEY REFERENCES windows,
    epoch      text NOT NULL,
    server     text NOT NULL,
    ready      boolean NOT NULL DEFAULT false,
    checked    xid8 NOT NULL DEFAULT pg_snapshot_xmin(pg_current_snapshot()),
    checked_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE index_generations IS 'The copy of each window in the shared index. Whoever builds anew replaces the epoch: older copies are then wrong, wherever they are.';
COMMENT ON COLUMN index_generations.server IS 'The run id of the Redis server that holds the copy.';
COMMENT ON COLUMN index_generations.checked IS 'Every commit of an older transaction is known to have reached the copy.';
