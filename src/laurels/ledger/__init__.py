"""PostgreSQL, the truth. The only room that speaks SQL.

embedded      a PostgreSQL of our own under a data folder
pool          connections to the primary, and what their failures mean
silence       how long callers wait: a slow database is not an absent one
migrations    brings the schema up to date, forward only
catalogue     action types, boards and their windows, kept in memory
commit_queue  what waits for the group commit, and how batches are cut from it; commit_cost how large
writer        the queue and its lanes: group commit
isolation     an action that can't be stored is found by halving
committer     one batch brought through: retried, within its deadline
turns         batches that touch the same user go one after the other
action_ids    drawn a thousand at a time
facts         what judging a batch needs, read at one instant
batch         one batch: read, judge, write in one statement that checks
receipts      the ranks that were told, kept so that a replay answers the same
ledger_id     the name of this ledger where several share a server
journal       what other processes committed
readers       the questions that need no index
people        what the public may ask about people: search, profile, history
windows       the windows a board has had
accounts      users, passwords, refresh tokens, signing keys
usual         what is usual for each action type, for the detectors
review        held actions, decided
corrections   actions undone, scores adjusted
refolding     one user's standings and counters, folded anew
repair        standings that differ from the ledger
sanctions     banned, shadowed, lifted
statement     a score, row by row
erasure       a person's data: all of it, and none of it
trimming      what is too old, deleted in steps
audit         who changed what by hand, and why
snapshots     frozen top lists and `users.rank`
"""
