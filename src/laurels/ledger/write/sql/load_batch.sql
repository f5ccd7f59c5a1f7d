-- Everything that judging a batch needs, as of one instant, in one row.
-- $1 user ids, $2 window ids, $3 the actions and $4 the counters to look up, $5 how many action ids to reserve.
--
-- Users, counters and standings come as parallel arrays, one for each column, NULL where there is no row: for a thousand
-- rows this takes a quarter of the time of an array of composites. It must stay a statement apart from lock_users: under
-- READ COMMITTED only a new statement sees what was committed while the lock was waited for. LATERAL with a LIMIT means
-- one index look-up per key, also with a plan that was made when the table was empty.
SELECT
    clock_timestamp() AS now,
    nextval('journal_id_seq') AS batch_id,
    -- Each number drawn from the sequence reserves 1,024 ids (db/action_ids.py).
    ARRAY(SELECT nextval('actions_id_seq') FROM generate_series(1, ($5::int + 1023) / 1024)) AS first_action_ids,
    ARRAY(
        SELECT (stored.id, stored.user_id, kind.name, stored.action_identifier, stored.fingerprint,
                stored.score_earned, stored.new_score, stored.completed_at, stored.batch_id, stored.status,
                stored.reason)::known_action
        FROM unnest($3::action_key[]) AS wanted
        CROSS JOIN LATERAL (
            SELECT * FROM actions a
            WHERE a.user_id = wanted.user_id AND a.action_identifier = wanted.action_identifier
              AND a.kind = 'completion'
            LIMIT 1
        ) AS stored
        JOIN action_types kind ON kind.id = stored.action_type_id
    ) AS known_actions,
    loaded_users.*,
    loaded_counters.*,
    loaded_standings.*
FROM (
    SELECT array_agg(u.id) AS user_ids,
           array_agg(u.xmin) AS user_versions,
           array_agg(u.status) AS user_statuses,
           array_agg(u.current_score) AS user_current_scores,
           array_agg(u.points_day) AS user_points_days,
           array_agg(u.points_today) AS user_points_today
    FROM users u
    WHERE u.id = ANY ($1::bigint[])
) AS loaded_users, (
    SELECT array_agg(stored.user_id) AS counter_user_ids,
           array_agg(stored.action_type_id) AS counter_action_type_ids,
           array_agg(stored.total_count) AS counter_total_counts,
           array_agg(stored.day) AS counter_days,
           array_agg(stored.day_count) AS counter_day_counts,
           array_agg(stored.last_at) AS counter_last_at,
           array_agg(stored.hour_count) AS counter_hour_counts,
           array_agg(stored.minute_count) AS counter_minute_counts,
           array_agg(stored.streak) AS counter_streaks
    FROM unnest($4::counter_key[]) AS wanted
    CROSS JOIN LATERAL (
        SELECT * FROM user_action_counters c
        WHERE c.user_id = wanted.user_id AND c.action_type_id = wanted.action_type_id
        LIMIT 1
    ) AS stored
) AS loaded_counters, (
    SELECT array_agg(s.window_id) AS standing_window_ids,
           array_agg(s.user_id) AS standing_user_ids,
           array_agg(s.score) AS standing_scores,
           array_agg(s.reached_at) AS standing_reached_at,
           array_agg(s.version) AS standing_versions,
           array_agg(s.hidden) AS standing_hidden,
           array_agg(s.void) AS standing_void
    FROM standings s
    WHERE s.window_id = ANY ($2::bigint[]) AND s.user_id = ANY ($1::bigint[])
) AS loaded_standings
