"""Request rates and failed log-ins, per node and over all nodes.

rate_limit        GCRA, one timestamp per key
spending          spending a request's cost from a rate limit, or refusing it
rate_limit_sync   the same limits summed over all nodes through Redis
login_throttle    bounds on guessing passwords
known_addresses   the addresses from which an account was logged in to
"""
