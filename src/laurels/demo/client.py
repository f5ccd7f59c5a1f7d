"""How a well-behaved client speaks to Laurels. The demo has no other way in.

An action keeps its identifier until its outcome is known, so that a lost reply or a 503 never counts
twice. 429 and 503 are waited out for as long as the server says. An expired token is refreshed.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from .people import Person

PATIENCE = 30.0
"""Seconds for which an action is sent again before it counts as failed."""
TIMEOUT = aiohttp.ClientTimeout(total=15, connect=3)
CONNECTIONS = 128
FIRST_BACKOFF, LAST_BACKOFF = 0.2, 5.0
LOST = "connection_lost"
_AWAY = (aiohttp.ClientError, TimeoutError, OSError)


class NoServer(Exception):
    """Nobody plays where nobody answers; the message is the operator's line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0: no reply came."""

    status: int
    body: dict[str, Any]
    retry_after: float | None = None

    @property
    def code(self) -> str:
        return str(self.body.get("code") or (f"http_{self.status}" if self.status else LOST))

    @property
    def unsettled(self) -> bool:
        """Sent again, it may turn out well: refused for now, or lost on the way."""
        return self.status in (0, 429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Kind:
    """An action type: its worth, and the members of its metadata if it asks for any."""

    base_score: int
    metadata: dict[str, Any] | None


class Client:
    """The calls that people make; `session` is shared by all of them."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def action_types(self) -> dict[str, Kind]:
        """What people can complete, by name. Raises NoServer when that can't be learned."""
        answer = await self._send("GET", "/api/action-types")
        if answer.status == 0:
            raise NoServer(f"no server answers at {self._url}: start one with `make run`, or point --url at one")
        listed = answer.body.get("action_types")
        if answer.status != 200 or not isinstance(listed, list):
            raise NoServer(f"what answers at {self._url} is no Laurels node that is ready ({answer.code})")
        if not listed:
            raise NoServer(f"the node at {self._url} has no action types, so there is nothing to play")
        return {
            kind["name"]: Kind(kind["base_score"], kind.get("metadata"))
            for kind in listed
            if not kind.get("server_only") and not kind.get("ticket")
        }

    async def top(self, limit: int) -> list[dict[str, Any]]:
        """The first rows of the default board; empty when it can't be read."""
        answer = await self._send("GET", f"/api/scoreboard?limit={limit}")
        return answer.body.get("rows") or []

    async def register(self, person: Person) -> Answer:
        answer = await self._send("POST", "/api/auth/register", _credentials(person))
        _keep_tokens(person, answer)
        return answer

    async def complete(
        self, person: Person, kind: str, identifier: str, metadata: dict[str, Any] | None = None
    ) -> Answer:
        """The outcome, or what kept it from being known for PATIENCE seconds."""
        loop = asyncio.get_running_loop()
        give_up, backoff, renewed = loop.time() + PATIENCE, FIRST_BACKOFF, False
        body: dict[str, Any] = {"action_type": kind, "action_identifier": identifier}
        if metadata is not None:
            body["metadata"] = metadata
        while True:
            token = person.access_token
            answer = await self._send("POST", "/api/actions/complete", body, token)
            if answer.status == 401 and not renewed:
                renewed = await self._renew(person, token)
                if renewed:
                    continue
            wait = answer.retry_after or backoff * random.uniform(0.5, 1.0)  # noqa: S311  spreads retries
            if not answer.unsettled or loop.time() + wait > give_up:
                return answer
            await asyncio.sleep(wait)
            backoff = min(2 * backoff, LAST_BACKOFF)

    async def _renew(self, person: Person, refused: str) -> bool:
        """New tokens: by the refresh token, else by logging in. Others in flight share one renewal."""
        async with person.renewal:
            if person.access_token != refused:
                return True
            answer = await self._send("POST", "/api/auth/refresh", {"refresh_token": person.refresh_token})
            if answer.status == 401:
                answer = await self._send("POST", "/api/auth/login", _credentials(person))
            return _keep_tokens(person, answer)

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._session.request(method, self._url + path, json=body, headers=headers) as reply:
                return _answer(reply, await reply.read())
        except aiohttp.InvalidURL as error:
            raise NoServer(f"{self._url} is no address of a server; it looks like http://127.0.0.1:8000") from error
        except _AWAY:
            return Answer(0, {})


def _answer(reply: aiohttp.ClientResponse, raw: bytes) -> Answer:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        body = None
    told = reply.headers.get("Retry-After", "")
    return Answer(reply.status, body if isinstance(body, dict) else {}, float(told) if told.isdigit() else None)


def _credentials(person: Person) -> dict[str, str]:
    return {"username": person.name, "password": person.password}


def _keep_tokens(person: Person, answer: Answer) -> bool:
    if answer.status not in (200, 201):
        return False
    person.access_token = answer.body["access_token"]
    person.refresh_token = answer.body["refresh_token"]
    return True
