-- $1 nonces. Runs after load_batch: a ticket belongs to one user, so a concurrent use of it changes that user's row.
SELECT nonce FROM ticket_uses WHERE nonce = ANY ($1::bytea[])
