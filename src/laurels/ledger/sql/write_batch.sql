-- One statement writes the whole batch; the transaction around it commits it.
-- $1 now, $2 batch id, $3 node, $4 user ids of the batch
-- $5.. actions: ids, users, types, identifiers, scores earned, new scores, metadata, fingerprints, completed_at
--       statuses, reasons
-- $16.. progress: users, types, totals, days, day counts, hour counts, minute counts, streaks
-- $24.. standings: windows, users, scores, sort scores, versions, hidden
-- $30.. users: ids, scores, points of the day; $33 that day
WITH new_actions AS (
    INSERT INTO actions (id, user_id, action_type_id, action_identifier, score_earned, new_score,
                         metadata, fingerprint, completed_at, status, reason, batch_id, created_at)
    SELECT *, $2::bigint, $1::timestamptz
    FROM unnest($5::bigint[], $6::bigint[], $7::int[], $8::text[], $9::bigint[], $10::bigint[],
                $11::jsonb[], $12::bigint[], $13::timestamptz[], $14::text[], $15::text[])
), new_progress AS (
    INSERT INTO progress (user_id, action_type_id, total_count, day, day_count, hour_count, minute_count, streak, last_at)
    SELECT *, $1::timestamptz
    FROM unnest($16::bigint[], $17::int[], $18::bigint[], $19::date[], $20::bigint[],
                $21::bigint[], $22::bigint[], $23::bigint[])
    ON CONFLICT (user_id, action_type_id) DO UPDATE
        SET total_count = EXCLUDED.total_count, day = EXCLUDED.day,
            day_count = EXCLUDED.day_count, hour_count = EXCLUDED.hour_count,
            minute_count = EXCLUDED.minute_count, streak = EXCLUDED.streak, last_at = EXCLUDED.last_at
), new_standings AS (
    INSERT INTO standings (window_id, user_id, score, sort_score, version, hidden, reached_at)
    SELECT *, $1::timestamptz
    FROM unnest($24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::boolean[])
    ON CONFLICT (user_id, window_id) DO UPDATE
        SET score = EXCLUDED.score, sort_score = EXCLUDED.sort_score,
            version = EXCLUDED.version, reached_at = EXCLUDED.reached_at,
            hidden = EXCLUDED.hidden, void = false
), new_scores AS (
    UPDATE users u
    SET current_score = n.score, points_today = n.points, points_day = $33::date, updated_at = $1::timestamptz
    FROM unnest($30::bigint[], $31::bigint[], $32::bigint[]) AS n (id, score, points)
    WHERE u.id = n.id
)
INSERT INTO journal (id, node, kind, ids) VALUES ($2, $3, 'standings', $4::bigint[])
