"""PostgreSQL, the source of truth: the only package that speaks SQL. Folders from the bottom up.

db, embedded  connections, cursors for paging, migrations; a PostgreSQL server of our own under a data folder
events        the journal that other nodes follow, and the audit trail
catalogue     action types, boards, windows and live settings, and the editors of each
queries       reads that need no index: one user's rows and score history
write         the path of one action: queue, batch, facts, one statement
standings     standings derived from rows: refold, repair, snapshots, generations of the shared index
accounts      users, log-ins, API keys, names, sanctions, erasure
corrections, transfer   reviews, reversals and adjustments; import and export
authorization, schema.sql   authorizing a change in its own transaction; the schema, for reading
"""
