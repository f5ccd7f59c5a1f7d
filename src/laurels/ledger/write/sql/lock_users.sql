-- $1 user ids. Locked in the order of their ids, so two batches never wait for each other in a circle.
-- NO KEY: foreign-key checks of other transactions need not wait.
SELECT FROM users
WHERE id = ANY ($1::bigint[])
ORDER BY id
FOR NO KEY UPDATE
