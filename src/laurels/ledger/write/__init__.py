"""The path of one action into the ledger.

writer       the lanes: group commit, and the answers to callers
commit_queue, commit_cost, poison      requests cut into batches that fit the time; poison halved until it is alone
committer, user_locks                  one batch: retries, deadline, one user in one batch at a time
batch, facts, rows, sql/               loads, judges and writes a batch in two statements, detecting stale users
baselines    what is usual for each action type, for the detectors
throughput   actions decided per second, for operators
dry_run      what the rules would say of an action, without writing it
"""
