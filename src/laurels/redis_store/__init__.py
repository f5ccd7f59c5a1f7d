"""Redis, which several nodes share. Nothing that must not be lost is kept there.

address       REDIS_URL parsed, also with several sentinels
store         bounded calls behind a circuit breaker, one error for a Redis that is unavailable
rate_limits   GCRA state summed over all nodes
leases        sockets counted over all nodes
"""

from .address import RedisAddress, RedisUnusable, parse_address
from .store import RedisStore, RedisUnavailable

__all__ = ["RedisAddress", "RedisStore", "RedisUnavailable", "RedisUnusable", "parse_address"]
