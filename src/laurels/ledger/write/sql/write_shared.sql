-- What one batch changed for everybody, under the locks of lock_types.
-- $1/$2 type counts: types, totals; $3.. claims: types, values, users, actions
WITH counted AS (
    UPDATE action_type_totals t SET total = n.total
    FROM unnest($1::int[], $2::bigint[]) AS n (id, total) WHERE t.action_type_id = n.id
)
INSERT INTO claims (action_type_id, value, user_id, action_id)
SELECT * FROM unnest($3::int[], $4::text[], $5::bigint[], $6::bigint[])
