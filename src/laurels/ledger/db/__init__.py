"""Connections to PostgreSQL and the state of its schema.

pool         connections to the primary, deadlines, and what their failures mean
hosts        which of several hosts is the primary
replicas     reads on replicas that have caught up
paging       keyset cursors
action_ids   action ids drawn 1,024 at a time
migrations   numbered SQL files, applied forward only
bootstrap    the first signing key and the first admin
"""
