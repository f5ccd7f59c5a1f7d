"""Request rates.

rate_limit        GCRA, one timestamp per key
rate_limit_sync   the same limits summed over all nodes through Redis
"""
