"""The index: a derived, disposable structure that answers ranks. It is rebuilt from the ledger at any time.

index              the `Index` protocol, and the types of its answers
memory_index       ordered windows in this process, for a single node
sql_index          the same answers counted in the ledger: the proof of the others, and their fallback
redis_index/       ordered windows in Redis, shared by several nodes, with their writer and the fallback to the ledger
projection_types   types that both writers of the index share
memory_projection  the only writer of the index in memory: committed batches, the journal, loading, rebuilding
confirmed_batches  batches known to be in the index, so that replays of their actions may be acknowledged
top_entries        which action of a batch brought its user into the top
view               whose view of a board is read: the public one, or a shadowed user's
shadows            boards as a shadowed user sees them
scoreboards        top lists with names, encoded once per version
cursors            pages of a board, and the cursors that lead to the next one
archive            top lists of ended windows
failover_check     standings that the index holds and a new primary lacks
verify             proof that the index equals the ledger, or how far it drifted
"""
