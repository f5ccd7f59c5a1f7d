"""The path of one action into the ledger.

writer       the bounded queue and its lanes: group commit
committer    one batch: retries, deadline, one user in one batch at a time
user_locks   a mutex keyed by user ids
facts        loads what judging a batch needs, as of one instant
batch        judges a batch and writes it in one statement that detects stale users
baselines    what is usual for each action type, for the detectors
throughput   actions decided per second, for operators
dry_run      what the rules would say of an action, without writing it
sql/         the statements of this path, one file each
"""
