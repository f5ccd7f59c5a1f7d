-- $1 action type ids, sorted: those whose rules look at what others have done. After lock_users, so that all
-- batches take their locks in one order. Creates the counter at its first use.
INSERT INTO action_type_totals (action_type_id, total)
SELECT id, 0 FROM unnest($1::int[]) AS t (id) ORDER BY id
ON CONFLICT (action_type_id) DO UPDATE SET total = action_type_totals.total
RETURNING action_type_id, total
