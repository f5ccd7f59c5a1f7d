"""The same work as usually written: one request, one transaction, one round trip to Redis.

per_request.py  FastAPI, SQLAlchemy (asyncio, on asyncpg), redis-py, uvicorn on uvloop and httptools

Its packages are the extra `peers`, locked in requirements/peers.txt and installed by `scripts/ensure-peers`; without
them the row is left out. It verifies the token, looks up the action type, inserts the action, adds to the score,
commits, and updates a sorted set with the ranks before and after. It has no rules, limits, journal, live frames,
metrics or repair, which is in its favour: it is a peer in cost, not in promises.
"""

from __future__ import annotations

from importlib.util import find_spec

PACKAGES = ("fastapi", "sqlalchemy", "uvicorn", "httptools")


def installed() -> bool:
    return all(find_spec(name) for name in PACKAGES)
