"""Connections to PostgreSQL and the state of its schema.

pool         connections to the primary, their deadlines, and errors mapped to refusals
liveness     tells a slow primary from a silent one
hosts, dsn   choosing one of several hosts; connection strings
poolers      which poolers can be used, and how one is recognised
replicas     reads on replicas that have caught up
paging, trimming, retries       keyset cursors; deletes in steps; background work tried again
action_ids, ledger_id           ids of actions, reserved 1,024 at a time; the id of this ledger
migrations   numbered SQL files, applied forward only
"""
