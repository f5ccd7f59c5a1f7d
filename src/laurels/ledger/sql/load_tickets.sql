-- $1 nonces, under the locks of lock_users: a ticket is one user's, so nobody uses it beside us.
SELECT nonce FROM ticket_uses WHERE nonce = ANY ($1::bytea[])
