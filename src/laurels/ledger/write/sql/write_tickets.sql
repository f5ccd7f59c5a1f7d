-- $1 nonces, $2 actions, $3 when each ticket would have expired
INSERT INTO ticket_uses (nonce, action_id, expires_at)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::timestamptz[])
