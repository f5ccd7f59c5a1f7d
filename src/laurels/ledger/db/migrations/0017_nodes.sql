-- Which nodes are running, and which of them have applied the journal up to a barrier.

CREATE TABLE nodes (
    id      uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE nodes IS 'Written by each node every two seconds, so that a command knows whom to wait for.';

CREATE TABLE journal_acknowledgements (
    journal_id bigint NOT NULL,
    node       uuid NOT NULL,
    PRIMARY KEY (journal_id, node)
);
COMMENT ON TABLE journal_acknowledgements IS
    'The node has applied everything that the journal holds up to this barrier. Trimmed with the journal.';
