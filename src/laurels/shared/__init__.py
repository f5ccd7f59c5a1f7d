"""What several nodes share: Redis. Nothing that must not be lost is kept there.

address      REDIS_URL taken apart, also with several sentinels
store        the connection: bounded calls behind a breaker, one error for a Redis that can't be used now
owed         rates that hold over all nodes
claims       what users hold on several nodes, within one limit, with leases
cache        values of this process that are read often: by version, one loader per key
rounds       one question for all who wait for the same answer
breaker      stops asking what does not answer, and tries again with one call at a time
"""

from .address import Address, RedisUnusable, parse_address
from .breaker import Breaker, BreakerOpen
from .store import RedisAway, Store

__all__ = ["Address", "Breaker", "BreakerOpen", "RedisAway", "RedisUnusable", "Store", "parse_address"]
