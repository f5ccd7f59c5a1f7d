"""Redis, shared by several nodes. It holds nothing that must not be lost.

address       parses REDIS_URL, also with several sentinels
store         bounded calls behind a circuit breaker, one error for a Redis that is unavailable
rate_limits   GCRA state summed over all nodes
leases        connections per user counted over all nodes
"""

from .address import RedisAddress, RedisUnusable, parse_address
from .store import RedisStore, RedisUnavailable

__all__ = ["RedisAddress", "RedisStore", "RedisUnavailable", "RedisUnusable", "parse_address"]
