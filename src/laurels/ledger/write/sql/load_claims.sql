-- $1 action type ids and $2 values, in pairs. Runs under the locks of lock_totals.
SELECT claim.action_type_id, claim.value
FROM unnest($1::int[], $2::text[]) AS wanted (action_type_id, value)
JOIN claims claim ON claim.action_type_id = wanted.action_type_id AND claim.value = wanted.value
