-- What one batch changed for all users, under the locks of lock_totals.
-- Totals: $1 action type ids, $2 totals. Claims: $3 action type ids, $4 values, $5 user ids, $6 action ids.
WITH written_totals AS (
    UPDATE action_type_totals stored SET total = counted.total
    FROM unnest($1::int[], $2::bigint[]) AS counted (action_type_id, total)
    WHERE stored.action_type_id = counted.action_type_id
)
INSERT INTO claims (action_type_id, value, user_id, action_id)
SELECT claim.action_type_id, claim.value, claim.user_id, claim.action_id
FROM unnest($3::int[], $4::text[], $5::bigint[], $6::bigint[]) AS claim (action_type_id, value, user_id, action_id)
