-- Imported history is written in big batches and folded user by user; this is what is still to be folded. A row is
-- written with the first of a user's actions and goes with the fold, so an import that dies resumes where it was.

CREATE TABLE pending_refolds (
    user_id bigint PRIMARY KEY REFERENCES users
);
COMMENT ON TABLE pending_refolds IS 'Users with imported actions that their standings and counters do not tell yet.';
