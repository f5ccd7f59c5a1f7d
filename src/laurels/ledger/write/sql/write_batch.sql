-- Writes a whole batch, or no row when one of its users has changed since load_batch read them: then the status is
-- INSERT 0 0. One statement, so it is its own transaction.
-- $1 batch id, $2 node, $3 the batch's instant; the rows: $4 users, by id, $5 actions, $6 counters, $7 standings.
--
-- Whatever changes what judging reads of a user also writes the user's row, so its xmin is a version of it all. The
-- users are locked before any other row and in the order of their ids, so two batches never wait for each other in a
-- circle. NO KEY: foreign-key checks of other transactions need not wait.
-- Instants of rows are microseconds since 1970.
WITH unchanged AS MATERIALIZED (
    SELECT stored.id
    FROM unnest($4::batch_user[]) AS judged
    CROSS JOIN LATERAL (
        SELECT u.id FROM users u WHERE u.id = judged.id AND u.xmin = judged.version FOR NO KEY UPDATE
    ) AS stored
), batch AS MATERIALIZED (
    SELECT $1::bigint AS id, $2::uuid AS node, $3::timestamptz AS now,
           (SELECT count(*) FROM unchanged) = cardinality($4::batch_user[]) AS is_current
), written_users AS (
    UPDATE users u
    SET current_score = judged.current_score, points_today = judged.points_today, points_day = judged.points_day,
        updated_at = batch.now
    FROM batch, unnest($4::batch_user[]) AS judged
    WHERE u.id = judged.id AND batch.is_current
), written_actions AS (
    INSERT INTO actions (id, user_id, action_type_id, action_identifier, score_earned, new_score, metadata,
                         fingerprint, status, reason, completed_at, created_at, batch_id)
    SELECT a.id, a.user_id, a.action_type_id, a.action_identifier, a.score_earned, a.new_score, a.metadata,
           a.fingerprint, a.status, a.reason, coalesce(a.completed_at, received.at), received.at, batch.id
    FROM batch, unnest($5::batch_action[]) AS a,
         LATERAL (SELECT timestamptz 'epoch' + a.created_at * interval '1 microsecond' AS at) AS received
    WHERE batch.is_current
), written_counters AS (
    INSERT INTO user_action_counters (user_id, action_type_id, total_count, day, day_count, hour_count, minute_count,
                                      streak, last_at)
    SELECT c.user_id, c.action_type_id, c.total_count, c.day, c.day_count, c.hour_count, c.minute_count,
           c.streak, c.last_at
    FROM batch, unnest($6::batch_counter[]) AS c
    WHERE batch.is_current
    ON CONFLICT (user_id, action_type_id) DO UPDATE
        SET total_count = EXCLUDED.total_count, day = EXCLUDED.day, day_count = EXCLUDED.day_count,
            hour_count = EXCLUDED.hour_count, minute_count = EXCLUDED.minute_count, streak = EXCLUDED.streak,
            last_at = EXCLUDED.last_at
), written_standings AS (
    INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version, hidden, void)
    SELECT s.window_id, s.user_id, s.score, s.sort_score,
           timestamptz 'epoch' + s.reached_at * interval '1 microsecond', s.version, s.hidden, false
    FROM batch, unnest($7::batch_standing[]) AS s
    WHERE batch.is_current
    ON CONFLICT (user_id, window_id) DO UPDATE
        SET score = EXCLUDED.score, sort_score = EXCLUDED.sort_score, reached_at = EXCLUDED.reached_at,
            version = EXCLUDED.version, hidden = EXCLUDED.hidden, void = false
)
INSERT INTO journal (id, node, kind, ids)
SELECT batch.id, batch.node, 'standings', ARRAY(SELECT judged.id FROM unnest($4::batch_user[]) AS judged)
FROM batch WHERE batch.is_current
