-- A key grants no more than it has: admin:write is split, so that a key can hold a part of it.

ALTER TABLE api_keys DROP CONSTRAINT api_keys_scopes_check;
UPDATE api_keys SET scopes = ARRAY(
    SELECT DISTINCT scope FROM unnest(
        array_remove(scopes, 'admin:write')
        || ARRAY['catalogue:write', 'corrections:write', 'users:write', 'keys:write', 'settings:write', 'index:write']
    ) AS s (scope) ORDER BY scope)
WHERE 'admin:write' = ANY (scopes);
ALTER TABLE api_keys ADD CONSTRAINT api_keys_scopes_check CHECK (
    cardinality(scopes) > 0 AND scopes <@ ARRAY[
        'actions:write', 'admin:read', 'catalogue:write', 'corrections:write', 'users:write', 'keys:write',
        'settings:write', 'index:write']);

-- Whether another admin is left, and whose names are privileged, is asked with every change of either.
CREATE INDEX users_operators ON users (role, id) WHERE role <> 'player';
