"""Log-ins in the log and in the audit trail: the address, the account or a digest of the name, the node's request id.

Every log-in has a line in the log. In the audit trail, which is never trimmed, failures are bounded: the first of an
account and address is written at once, those that follow within a minute are counted and written as one row. More
pairs than PAIRS in a minute share one row.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from ..domain.errors import LaurelsError
from ..ledger.db.pool import Pool
from ..ledger.events import audit
from ..ledger.events.audit import Actor

log = structlog.get_logger(__name__)

PAIRS = 100
"""Accounts and addresses with rows of their own in one minute, on one node."""
FLUSH_SECONDS = 60.0
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """A log-in as it is recorded.

    `account`: `user:ID`, or `name:DIGEST` of a name without an account. `client_request_id`: the id the caller chose.
    """

    account: str
    address: str
    request_id: str
    client_request_id: str | None = None

    def log(self, event: str, **more: str) -> None:
        """Write a line to the log."""
        if self.client_request_id is not None:
            more["client_request_id"] = self.client_request_id
        log.info(event, account=self.account, address=self.address, request_id=self.request_id, **more)


class LoginAudit:
    """Writes failed log-ins to the audit trail. Call `flush` every FLUSH_SECONDS."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._repeated: dict[tuple[str, str], int] = {}
        self._not_listed = 0

    async def failed(self, record: LoginRecord, reason: str) -> None:
        """Log a failed log-in, and write it to the audit trail or count it. Raises LaurelsError; then it is counted."""
        record.log("login failed", reason=reason)
        pair = (record.account, record.address)
        if pair in self._repeated:
            self._repeated[pair] += 1
        elif len(self._repeated) >= PAIRS:
            self._not_listed += 1
        else:
            self._repeated[pair] = 0
            actor = Actor(ANONYMOUS, record.request_id)
            try:
                await self._write(actor, record.account, {"address": record.address, "attempts": 1}, reason)
            except LaurelsError:
                self._repeated[pair] = self._repeated.get(pair, 0) + 1
                raise

    async def flush(self) -> None:
        """Write the counts since the last call. Counts that can't be written are kept. Raises LaurelsError."""
        for pair, count in list(self._repeated.items()):
            if count:
                after = {"address": pair[1], "attempts": count}
                await self._write(Actor(ANONYMOUS), pair[0], after, "repeated")
            left = self._repeated.pop(pair, count) - count
            if left:  # failures that arrived meanwhile
                self._repeated[pair] = left
        if not_listed := self._not_listed:
            await self._write(Actor(ANONYMOUS), "many", {"attempts": not_listed}, "too many accounts to list")
            self._not_listed -= not_listed

    async def _write(self, actor: Actor, account: str, after: dict[str, object], reason: str) -> None:
        await audit.append(self._pool, actor, "login.failed", account, after=after, reason=reason)
