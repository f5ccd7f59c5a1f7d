-- Values claimed under `once_for_all` may be longer than an index entry: long ones are kept as their digest, and values
-- that look like one too (`claimed_value` in domain/judgement.py).
UPDATE claims SET value = 'sha256:' || encode(sha256(convert_to(value, 'UTF8')), 'hex')
WHERE char_length(value) > 64 OR value LIKE 'sha256:%';
COMMENT ON COLUMN claims.value IS 'The value itself up to 64 characters; a longer one as sha256: and its digest.';

-- Several actions of one user in one batch share the ranks before and after it; one of them brought the user into the
-- top. Parallel to user_ids; 0, or no array, where the ranks alone tell.
ALTER TABLE receipt_ranks ADD COLUMN entered_by bigint[];
COMMENT ON COLUMN receipt_ranks.entered_by IS 'The action that brought the user into the top, where several actions of the user are in the batch; else 0.';
