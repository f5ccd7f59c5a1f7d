-- $1/$2 (action type id, value) pairs, under the locks of lock_types.
SELECT c.action_type_id, c.value
FROM unnest($1::int[], $2::text[]) AS k (action_type_id, value)
JOIN claims c ON c.action_type_id = k.action_type_id AND c.value = k.value
