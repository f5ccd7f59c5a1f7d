"""The same work as most would write it: one request, one transaction, one round trip to Redis.

per_request.py  FastAPI, SQLAlchemy (asyncio, on asyncpg), redis-py, uvicorn on uvloop and httptools

Its packages are the extra `peers`, locked in requirements/peers.txt; `scripts/ensure-peers` installs them into the
virtual environment when the benchmarks are asked for. Where they are not there the row is left out, and that is said.

It does what a complete needs and no more: it checks the token's signature and claims, looks up the action type,
inserts the action under its unique identifier, adds to the user's score, commits, writes the score into a sorted set
and asks for the rank before and after. No rules, limits, journal, live frames, metrics or repair: what it leaves out
is in its favour. What is lost between COMMIT and ZADD stays lost, and ties are settled by name: it is a peer in cost,
not in promises.
"""

from __future__ import annotations

from importlib.util import find_spec

PACKAGES = ("fastapi", "sqlalchemy", "uvicorn", "httptools")


def installed() -> bool:
    return all(find_spec(name) for name in PACKAGES)
