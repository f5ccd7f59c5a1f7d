-- $1.. why actions of the batch are held: actions, codes, details
INSERT INTO reviews (action_id, code, detail)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])
