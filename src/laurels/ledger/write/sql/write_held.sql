-- Why actions of the batch are held: $1 action ids, $2 codes, $3 details.
INSERT INTO reviews (action_id, code, detail)
SELECT held.action_id, held.code, held.detail
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS held (action_id, code, detail)
