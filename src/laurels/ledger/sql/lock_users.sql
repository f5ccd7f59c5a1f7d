-- $1 user ids. In id order, so that two batches never wait for each other in a circle.
-- NO KEY: foreign-key checks of other transactions need not wait.
SELECT id, status, current_score, points_day, points_today
FROM users
WHERE id = ANY ($1::bigint[])
ORDER BY id
FOR NO KEY UPDATE
