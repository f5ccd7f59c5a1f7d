-- Names that look alike within one script are refused near privileged names only, so they are found by a key of their
-- own; username_skeleton is from now on the key of look-alikes across scripts. Both are computed by the program: rows
-- without the new key get it, and their new skeleton, when the ledger is opened next.

ALTER TABLE users ADD username_similar text;
COMMENT ON COLUMN users.username_skeleton IS 'The same for names that look alike across scripts, or by what is invisible.';
COMMENT ON COLUMN users.username_similar IS
    'The same for names that look alike at a glance; NULL until the program has computed all keys of the row.';
CREATE INDEX users_username_similar ON users (username_similar);
