"""The asynchronous client: one session, retries that cannot count twice, typed replies."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from .address import checked_url
from .batch import Batch, path_for
from .live import Follower, follow
from .messages import (
    Action,
    BatchReply,
    Board,
    Page,
    Place,
    Problem,
    Ranks,
    Receipt,
    Result,
    Ticket,
    User,
    new_identifier,
)
from .outcome import LaurelsFailure, Patience, Refused, Unsettled, may_settle

Token = str | Callable[[], str | Awaitable[str]]

_AWAY = (aiohttp.ClientError, TimeoutError, OSError)
"""No reply, a partial one, or not HTTP: the same request is sent again."""
KEY_PREFIX = "lk_"
OF_ONESELF = ("/api/actions/complete", "/api/actions/batch")
"""Paths of actions without a `user`: they accept only a user's own token."""
TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
_T = TypeVar("_T")


class Laurels:
    """Client of the service at `url`. Use it with `async with`; safe for many tasks at once.

    `token`: an access token or an API key, or a function that returns one (also asynchronously), which is called again
    when the server reports that the token has expired. `deadline`: seconds after which a call raises Unsettled.
    `session`: an aiohttp session, to share connections between the clients of many users; it stays open, and its
    timeouts apply. Raises ValueError when `url` is not an http or https address.
    """

    def __init__(
        self,
        url: str,
        token: Token | None = None,
        *,
        deadline: float = 30.0,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._url = checked_url(url)
        self._provider = token
        self._token = token if isinstance(token, str) else None
        self._renewal = asyncio.Lock()
        self._deadline = deadline
        self._session = session
        self._owns_session = session is None

    async def __aenter__(self) -> Self:
        if self._owns_session:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._owns_session and self._session is not None:
            await self._session.close()
            self._session = None

    async def start(self, action_type: str, *, deadline: float | None = None) -> Ticket:
        """Return a ticket for an action whose type needs one. Raises Refused (ticket_not_needed), or Unsettled."""
        raw = await self._send("POST", "/api/actions/start", {"action_type": action_type}, [], deadline)
        return _decode(raw, Ticket)

    async def complete(
        self,
        action_type: str,
        identifier: str | None = None,
        *,
        metadata: dict[str, Any] | None = None,
        completed_at: datetime | None = None,
        user: User | None = None,
        ticket: str | None = None,
        deadline: float | None = None,
    ) -> Receipt:
        """Complete one action. Raises Refused, or Unsettled when no answer came before the deadline.

        `identifier` makes it idempotent: the same one gets the same receipt, also in another process.
        """
        action = Action(action_type, identifier or new_identifier(), metadata, completed_at, user, ticket)
        raw = await self._send("POST", f"{path_for(action)}/complete", action, [action.action_identifier], deadline)
        return _decode(raw, Receipt)

    async def batch(self, actions: Iterable[Action], *, deadline: float | None = None) -> list[Result]:
        """Complete many actions, up to 1,000 in one request. Return one result each, in order.

        An action refused by the rules is a result, not an exception. `deadline` is for all requests together. Raises
        Refused, or Unsettled with the identifiers of the request in flight. Either has `settled`, the results of
        earlier requests, and `remaining`, the actions without a result, which are safe to send again.
        """
        results: list[Result] = []
        await self.send_batch(Batch(actions), results, deadline)
        return results

    async def send_batch(self, batch: Batch, results: list[Result], deadline: float | None) -> None:
        """Send a batch and append the results of each request to `results` when they arrive. Raises as `batch` does."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + (self._deadline if deadline is None else deadline)
        for part in batch.parts:
            try:
                raw = await self._send("POST", batch.path, part.payload, part.names, give_up_at - loop.time())
                results += _decode(raw, BatchReply).results
            except LaurelsFailure as failure:
                failure.of_batch(results, batch.actions[part.start :])
                raise
            except Exception as error:  # of the token function; earlier results must not be lost
                unknown = Unsettled(part.names, repr(error))
                raise unknown.of_batch(results, batch.actions[part.start :]) from error

    async def receipt(self, identifier: str) -> Receipt:
        """Return the receipt of an action of the token's user. Raises Refused (receipt_unknown: never accepted)."""
        path = f"/api/receipts/{quote(identifier, safe='')}"
        return _decode(await self._send("GET", path), Receipt)

    async def top(self, board: str | None = None, limit: int = 10) -> Board:
        """Return the first rows of a board; without a name, of the default board."""
        path = "/api/scoreboard" if board is None else f"/api/boards/{quote(board, safe='')}"
        return _decode(await self._send("GET", f"{path}?limit={limit}"), Board)

    async def around(self, board: str, username: str, radius: int = 5) -> Board:
        """Return the rows around a user. Raises Refused (user_unknown) if the user has not scored there."""
        path = f"/api/boards/{quote(board, safe='')}/around/{quote(username, safe='')}?radius={radius}"
        return _decode(await self._send("GET", path), Board)

    async def rank(self, board: str, username: str) -> Place:
        path = f"/api/boards/{quote(board, safe='')}/rank/{quote(username, safe='')}"
        return _decode(await self._send("GET", path), Place)

    async def rows(
        self, board: str, from_rank: int = 1, limit: int = 50, *, cursor: str | None = None, window: int | None = None
    ) -> Page:
        """Return rows from any place of a board, in its current window or in an earlier one.

        With the `next` of a page as `cursor`, return the page behind it; then `from_rank` and `window` do not count.
        """
        start = {"from_rank": from_rank} if window is None else {"from_rank": from_rank, "window": window}
        query = urlencode([("limit", limit), *(start.items() if cursor is None else [("cursor", cursor)])])
        return _decode(await self._send("GET", f"/api/boards/{quote(board, safe='')}/rows?{query}"), Page)

    async def ranks(self, board: str, usernames: Sequence[str]) -> Ranks:
        """Return the ranks of up to 500 users, such as friends, on a board and among themselves."""
        path = f"/api/boards/{quote(board, safe='')}/ranks"
        return _decode(await self._send("POST", path, {"usernames": list(usernames)}), Ranks)

    async def live(self, board: str, size: int = 10) -> AsyncIterator[Board]:
        """Yield the first `size` rows of a board, now and whenever they change.

        Reconnects and resumes after every interruption. Raises Refused when the server rules that out (board_unknown).
        """
        follower = Follower(board, size)
        async for shown in follow(self._opened(), self._url, follower):
            yield shown

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("open the client first: async with Laurels(…) as laurels")
        return self._session

    async def _send(
        self,
        method: str,
        path: str,
        body: object | None = None,
        identifiers: list[str] | None = None,
        deadline: float | None = None,
    ) -> bytes:
        """Return the body of a 2xx. Retries until a final answer or the deadline."""
        loop = asyncio.get_running_loop()
        patience = Patience(loop.time() + (self._deadline if deadline is None else deadline))
        payload = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        renewed = False
        while True:
            token = await self._token_by(patience.give_up_at, identifiers or [])
            status, raw, retry_after = await self._once(method, path, payload, token, patience.give_up_at - loop.time())
            if 200 <= status < 300:
                return raw
            problem = _problem(raw)
            if status == 401 and problem.code == "token_expired" and callable(self._provider) and not renewed:
                renewed = True
                if self._token == token:  # otherwise another task has renewed it meanwhile
                    self._token = None
                continue
            if not may_settle(status):
                raise _refused(status, problem, retry_after, path, token)
            wait = patience.wait(loop.time(), retry_after)
            if wait is None:
                raise Unsettled(identifiers or [], problem.code or (f"HTTP {status}" if status else "connection lost"))
            await asyncio.sleep(wait)

    async def _once(
        self, method: str, path: str, payload: bytes | None, token: str | None, left: float
    ) -> tuple[int, bytes, float | None]:
        """Send once. Return (status, body, seconds of Retry-After); status 0: no reply came."""
        session = self._opened()
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(max(left, 0.001)),
                session.request(method, self._url + path, data=payload, headers=headers) as reply,
            ):
                return reply.status, await reply.read(), _seconds(reply.headers.get("Retry-After"))
        except aiohttp.InvalidURL:
            raise
        except _AWAY:
            return 0, b"", None

    async def _token_by(self, give_up_at: float, identifiers: list[str]) -> str | None:
        """Return the token to send. Raises Unsettled when the token function takes longer than that."""
        try:
            async with asyncio.timeout_at(give_up_at) as limit:
                return await self._current_token()
        except TimeoutError:
            if limit.expired():
                raise Unsettled(identifiers, "no token in time") from None
            raise

    async def _current_token(self) -> str | None:
        """Return the token; tasks that need a new one at the same time share one renewal."""
        if self._token is None and callable(self._provider):
            async with self._renewal:
                if self._token is None:
                    answer = self._provider()
                    self._token = await answer if inspect.isawaitable(answer) else answer
        return self._token


def _refused(status: int, problem: Problem, retry_after: float | None, path: str, token: str | None) -> Refused:
    detail = problem.detail or "no reason was given"
    if problem.code == "forbidden" and (token or "").startswith(KEY_PREFIX) and path in OF_ONESELF:
        detail += " An API key completes actions for others: pass user=User(username=…)."
    return Refused(status, problem.code or f"http_{status}", detail, problem.request_id, retry_after)


def _decode(raw: bytes, kind: type[_T]) -> _T:
    """Decode a reply. Raises Refused (unreadable) when the other end is not Laurels."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise Refused(200, "unreadable", f"the reply is not one of Laurels: {error}") from error


def _problem(raw: bytes) -> Problem:
    try:
        return msgspec.json.decode(raw, type=Problem)
    except msgspec.DecodeError:
        return Problem()


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isdigit() else None
