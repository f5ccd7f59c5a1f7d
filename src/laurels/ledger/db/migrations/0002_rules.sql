-- What the rules look at: counters per hour and minute, streaks, points of the day, what counts once for everybody.

ALTER TABLE user_action_counters
    ADD COLUMN hour_count   bigint NOT NULL DEFAULT 0,
    ADD COLUMN minute_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN streak       bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN user_action_counters.hour_count IS 'Awards in the clock hour of last_at; minute_count likewise.';
COMMENT ON COLUMN user_action_counters.streak IS 'Consecutive days up to `day`.';

ALTER TABLE users
    ADD COLUMN points_day   date,
    ADD COLUMN points_today bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN users.points_today IS 'Earned on points_day, over all action types.';

ALTER TABLE boards
    ADD COLUMN daily_points_cap bigint CHECK (daily_points_cap > 0),
    ADD CHECK (daily_points_cap IS NULL OR is_default);

CREATE TABLE action_type_totals (
    action_type_id int PRIMARY KEY REFERENCES action_types,
    total          bigint NOT NULL
);
COMMENT ON TABLE action_type_totals IS 'Awards to anybody, counted from the first use of a rule that asks; its row is the lock of such types.';

CREATE TABLE claims (
    action_type_id int NOT NULL REFERENCES action_types,
    value          text NOT NULL,
    user_id        bigint NOT NULL REFERENCES users,
    action_id      bigint NOT NULL REFERENCES actions,
    PRIMARY KEY (action_type_id, value)
);
COMMENT ON TABLE claims IS 'Values that counted once for everybody: redeem codes, first solves.';
CREATE INDEX claims_action ON claims (action_id);
