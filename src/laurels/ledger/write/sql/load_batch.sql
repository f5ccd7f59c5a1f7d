-- Everything that judging a batch needs, of one instant, in one round trip. After lock_users it is a statement of
-- its own all the same: under READ COMMITTED only a new one sees what the lock waited for.
-- $1 user ids, $2 window ids, $3/$4 (user id, identifier) pairs, $5/$6 (user id, action type id) pairs, $7 action ids
-- wanted. Each id that is drawn stands for 1,024 (migration 0013).
-- LATERAL with a LIMIT: one look-up per pair, whatever the planner makes of a table that was empty when it planned.
-- kind 0: clock, batch id and action ids; 1: known action; 2: progress; 3: standing; 4: user, with the row's version.
SELECT 0 AS kind, NULL::bigint AS user_id, nextval('journal_id_seq') AS ref,
       NULL::bigint AS a, NULL::bigint AS b, NULL::bigint AS c,
       clock_timestamp() AS at, NULL::date AS day, NULL::text AS name, NULL::text AS identifier, NULL::boolean AS flag,
       ARRAY(SELECT nextval('actions_id_seq') FROM generate_series(1, ($7::int + 1023) / 1024)) AS ids,
       NULL::bigint AS batch_id, NULL::text AS status, NULL::text AS reason, NULL::xid AS version
UNION ALL
SELECT 1, a.user_id, a.id, a.fingerprint, a.score_earned, a.new_score,
       a.completed_at, NULL, t.name, a.action_identifier, NULL, NULL, a.batch_id, a.status, a.reason, NULL
FROM unnest($3::bigint[], $4::text[]) AS k (user_id, identifier)
CROSS JOIN LATERAL (
    SELECT * FROM actions c
    WHERE c.user_id = k.user_id AND c.action_identifier = k.identifier AND c.kind = 'completion' LIMIT 1) a
JOIN action_types t ON t.id = a.action_type_id
UNION ALL
SELECT 2, p.user_id, p.action_type_id, p.total_count, p.day_count, NULL,
       p.last_at, p.day, NULL, NULL, NULL, ARRAY[p.hour_count, p.minute_count, p.streak], NULL, NULL, NULL, NULL
FROM unnest($5::bigint[], $6::int[]) AS k (user_id, action_type_id)
CROSS JOIN LATERAL (
    SELECT * FROM user_action_counters c WHERE c.user_id = k.user_id AND c.action_type_id = k.action_type_id LIMIT 1) p
UNION ALL
SELECT 3, s.user_id, s.window_id, s.score, s.version, s.void::int,
       s.reached_at, NULL, NULL, NULL, s.hidden, NULL, NULL, NULL, NULL, NULL
FROM standings s
WHERE s.window_id = ANY ($2::bigint[]) AND s.user_id = ANY ($1::bigint[])
UNION ALL
SELECT 4, u.id, NULL, u.current_score, u.points_today, NULL,
       NULL, u.points_day, NULL, NULL, NULL, NULL, NULL, u.status, NULL, u.xmin
FROM users u
WHERE u.id = ANY ($1::bigint[])
