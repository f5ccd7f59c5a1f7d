-- $1 ids of the action types whose rules read other users' actions. Locks nothing, for a judgement that is not written.
SELECT action_type_id, total FROM action_type_totals WHERE action_type_id = ANY ($1::int[])
