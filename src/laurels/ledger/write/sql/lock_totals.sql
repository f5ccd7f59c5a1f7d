-- $1 ids of the action types whose rules read other users' actions, sorted. Runs after lock_users, so that all batches
-- take their locks in one order. Creates a type's total at its first use.
INSERT INTO action_type_totals (action_type_id, total)
SELECT id, 0 FROM unnest($1::int[]) AS t (id) ORDER BY id
ON CONFLICT (action_type_id) DO UPDATE SET total = action_type_totals.total
RETURNING action_type_id, total
