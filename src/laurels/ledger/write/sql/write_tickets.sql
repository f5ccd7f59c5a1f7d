-- The tickets that the batch used: $1 nonces, $2 action ids, $3 when each ticket would have expired.
INSERT INTO ticket_uses (nonce, action_id, expires_at)
SELECT ticket.nonce, ticket.action_id, ticket.expires_at
FROM unnest($1::bytea[], $2::bigint[], $3::timestamptz[]) AS ticket (nonce, action_id, expires_at)
