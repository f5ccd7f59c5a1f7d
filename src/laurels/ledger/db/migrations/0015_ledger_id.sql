-- A name for this ledger that no other one has: what it shares with others (a Redis server) is kept apart by it.
CREATE TABLE ledger_identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO ledger_identity DEFAULT VALUES;
