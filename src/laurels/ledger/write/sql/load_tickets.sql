-- $1 nonces, after load_batch: a ticket is one user's, so who uses it beside us changes that user.
SELECT nonce FROM ticket_uses WHERE nonce = ANY ($1::bytea[])
