-- One statement writes the whole batch or, when one of its users changed since load_batch read them, no row.
-- Everything that changes what judging reads of a user also writes the user's row: its xmin is a version of it all.
-- The users are locked first, and in the order of $4, which is that of their ids: two batches never wait for each other
-- in a circle. NO KEY: foreign-key checks of other transactions need not wait.
-- $1 now, $2 batch id, $3 node, $4 user ids of the batch. `later`: microseconds after now; actions of one batch are
-- one apart, in the order in which they arrived.
-- $5.. actions: ids, users, types, identifiers, scores earned, new scores, metadata, fingerprints,
--       completed_at (NULL: when it arrived), statuses (NULL: awarded), reasons, later
-- $17.. progress: users, types, totals, day counts, hour counts, minute counts, streaks, later
-- $25.. standings: windows, users, scores, sort scores, versions, hidden, later
-- $32.. users of $4: scores, points of the day, versions that were read; $35 that day
WITH same AS MATERIALIZED (
    SELECT u.id
    FROM unnest($4::bigint[], $34::xid[]) AS n (id, version)
    CROSS JOIN LATERAL (SELECT c.id FROM users c WHERE c.id = n.id AND c.xmin = n.version FOR NO KEY UPDATE) u
), gate AS MATERIALIZED (
    SELECT (SELECT count(*) FROM same) = cardinality($4::bigint[]) AS is_open
), new_scores AS (
    UPDATE users u
    SET current_score = n.score, points_today = n.points, points_day = $35::date, updated_at = $1::timestamptz
    FROM gate, unnest($4::bigint[], $32::bigint[], $33::bigint[]) AS n (id, score, points)
    WHERE u.id = n.id AND gate.is_open
), new_actions AS (
    INSERT INTO actions (id, user_id, action_type_id, action_identifier, score_earned, new_score, metadata, fingerprint,
                         completed_at, status, reason, batch_id, created_at)
    SELECT n.id, n.user_id, n.type_id, n.identifier, n.earned, n.score, n.metadata, n.fingerprint,
           coalesce(n.completed_at, arrived.at), coalesce(n.status, 'awarded'), n.reason, $2::bigint, arrived.at
    FROM gate,
         unnest($5::bigint[], $6::bigint[], $7::int[], $8::text[], $9::bigint[], $10::bigint[], $11::jsonb[],
                $12::bigint[], $13::timestamptz[], $14::text[], $15::text[], $16::int[])
             AS n (id, user_id, type_id, identifier, earned, score, metadata,
                   fingerprint, completed_at, status, reason, later),
         LATERAL (SELECT $1::timestamptz + n.later * interval '1 microsecond' AS at) arrived
    WHERE gate.is_open
), new_progress AS (
    INSERT INTO user_action_counters (user_id, action_type_id, total_count, day_count, hour_count, minute_count, streak, day, last_at)
    SELECT n.user_id, n.type_id, n.total, n.day_count, n.hour_count, n.minute_count, n.streak,
           $35::date, $1::timestamptz + n.later * interval '1 microsecond'
    FROM gate, unnest($17::bigint[], $18::int[], $19::bigint[], $20::bigint[],
                      $21::bigint[], $22::bigint[], $23::bigint[], $24::int[])
        AS n (user_id, type_id, total, day_count, hour_count, minute_count, streak, later)
    WHERE gate.is_open
    ON CONFLICT (user_id, action_type_id) DO UPDATE
        SET total_count = EXCLUDED.total_count, day = EXCLUDED.day,
            day_count = EXCLUDED.day_count, hour_count = EXCLUDED.hour_count,
            minute_count = EXCLUDED.minute_count, streak = EXCLUDED.streak, last_at = EXCLUDED.last_at
), new_standings AS (
    INSERT INTO standings (window_id, user_id, score, sort_score, version, hidden, reached_at)
    SELECT n.window_id, n.user_id, n.score, n.sort_score, n.version, n.hidden,
           $1::timestamptz + n.later * interval '1 microsecond'
    FROM gate, unnest($25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::boolean[],
                      $31::int[])
        AS n (window_id, user_id, score, sort_score, version, hidden, later)
    WHERE gate.is_open
    ON CONFLICT (user_id, window_id) DO UPDATE
        SET score = EXCLUDED.score, sort_score = EXCLUDED.sort_score,
            version = EXCLUDED.version, reached_at = EXCLUDED.reached_at,
            hidden = EXCLUDED.hidden, void = false
)
INSERT INTO journal (id, node, kind, ids)
SELECT $2, $3, 'standings', $4::bigint[] FROM gate WHERE gate.is_open
