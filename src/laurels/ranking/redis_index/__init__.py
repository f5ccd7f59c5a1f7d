"""The index of several nodes, in Redis; ranks are counted in the ledger while it cannot be trusted.

lua/             scripts, each run on the six keys of one window; window.lua documents the keys
scripts          load and run scripts, several in one round trip
read_batcher     reads of many callers in one round trip
windows          windows in Redis: create, apply changes, bulk-load, read
generations      which copy of each window counts, and whether this node may read it
fallback_index   an `Index` that reads Redis, or counts in the ledger
replays          make sure that replayed actions are in the index before they are acknowledged
builder          build the windows' copies from the ledger, beside live changes
bulk_load        copy all standings of a window into a new generation
rebuild_backoff  back-off for nodes that replace each other's copies
projection       the only writer: pushes own batches, repairs what is missing, rebuilds
"""
