"""HTTP calls of the demo's people, through `laurels_client` as any app would make them.

What that client leaves to an app is here: registering, and fresh tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from laurels_client import Laurels, LaurelsFailure, Receipt, Refused

from .people import SimulatedPerson

PATIENCE = 30.0
"""Seconds for which an action is sent again before it counts as failed."""
TIMEOUT = aiohttp.ClientTimeout(total=15, connect=3)
CONNECTIONS = 128
LOST = "connection_lost"
_AWAY = (aiohttp.ClientError, TimeoutError, OSError)


class NoServer(Exception):
    """No node that is ready answers; the message is the line that the operator reads."""


@dataclass(frozen=True, slots=True)
class DemoResponse:
    """A reply. `status` 0: none came."""

    status: int
    body: dict[str, Any]
    retry_after: float | None = None

    @property
    def code(self) -> str:
        return str(self.body.get("code") or (f"http_{self.status}" if self.status else LOST))

    @property
    def unsettled(self) -> bool:
        """Whether the request may succeed when it is sent again: it was refused for now, or lost on the way."""
        return self.status in (0, 429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Kind:
    """An action type: its score, and the members of its metadata if it has any."""

    base_score: int
    metadata: dict[str, Any] | None


class Client:
    """The calls that people make; `session` is shared by all of them."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._of: dict[SimulatedPerson, Laurels] = {}

    async def action_types(self) -> dict[str, Kind]:
        """Return the action types that people can complete, by name. Raises NoServer when they can't be read."""
        answer = await self._send("GET", "/api/action-types")
        if answer.status == 0:
            raise NoServer(f"no server answers at {self._url}: start one with `make run`, or point --url at one")
        listed = answer.body.get("action_types")
        if answer.status != 200 or not isinstance(listed, list):
            raise NoServer(f"what answers at {self._url} is not a Laurels node that is ready ({answer.code})")
        if not listed:
            raise NoServer(f"the node at {self._url} has no action types, so there is nothing to play")
        return {
            kind["name"]: Kind(kind["base_score"], kind.get("metadata"))
            for kind in listed
            if not kind.get("server_only") and not kind.get("ticket")
        }

    async def top(self, limit: int) -> list[dict[str, Any]]:
        """Return the first rows of the default board; none when it can't be read."""
        try:
            board = await Laurels(self._url, session=self._session, deadline=TIMEOUT.connect or 0.0).top(limit=limit)
        except LaurelsFailure:
            return []
        return [msgspec.to_builtins(row) for row in board.rows]

    async def register(self, person: SimulatedPerson) -> DemoResponse:
        """Register a person, and keep their tokens when that succeeds."""
        answer = await self._send("POST", "/api/auth/register", _credentials(person))
        if answer.status == 201:
            _keep_tokens(person, answer)
            self._of[person] = Laurels(
                self._url, lambda: self._token_of(person), deadline=PATIENCE, session=self._session
            )
        return answer

    async def complete(self, person: SimulatedPerson, kind: str, metadata: dict[str, Any] | None = None) -> Receipt:
        """Complete an action of a registered person. Raises Refused, or Unsettled after PATIENCE seconds."""
        return await self._of[person].complete(kind, metadata=metadata)

    async def _token_of(self, person: SimulatedPerson) -> str:
        """Return the token of the registration once, then new ones by refresh token or log-in. Raises Refused."""
        if not person.access_token:
            answer = await self._send("POST", "/api/auth/refresh", {"refresh_token": person.refresh_token})
            if answer.status == 401:
                answer = await self._send("POST", "/api/auth/login", _credentials(person))
            if answer.status != 200:
                raise Refused(answer.status, answer.code, "no new token", retry_after=answer.retry_after)
            _keep_tokens(person, answer)
        token, person.access_token = person.access_token, ""
        return token

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> DemoResponse:
        try:
            async with self._session.request(method, self._url + path, json=body) as reply:
                return _answer(reply, await reply.read())
        except aiohttp.InvalidURL as error:
            raise NoServer(f"{self._url} is not the address of a server, such as http://127.0.0.1:8000") from error
        except _AWAY:
            return DemoResponse(0, {})


def _answer(reply: aiohttp.ClientResponse, raw: bytes) -> DemoResponse:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        body = None
    wait = reply.headers.get("Retry-After", "")
    return DemoResponse(reply.status, body if isinstance(body, dict) else {}, float(wait) if wait.isdigit() else None)


def _credentials(person: SimulatedPerson) -> dict[str, str]:
    return {"username": person.name, "password": person.password}


def _keep_tokens(person: SimulatedPerson, answer: DemoResponse) -> None:
    person.access_token = answer.body["access_token"]
    person.refresh_token = answer.body["refresh_token"]
