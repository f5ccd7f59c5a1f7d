"""Registration: people register, a few at once, while those who are registered already play.

Registrations are limited per address. When the server says to wait, all who are left wait, and the progress bar
shows it.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

from .client import Client, DemoResponse
from .people import SimulatedPerson, other_name
from .tally import DemoTally

WORKERS = 4
"""People who register at once: the server needs a while to hash a password."""
NAME_TRIES = 8
REGISTER_TRIES = 10
WAIT_WHEN_UNTOLD = 1.0
_OTHER_NAME = ("username_taken", "username_invalid")


class Registration:
    """Registers people. `players` are the honest ones who may play; `on_registered` is called with everyone.

    `run()` ends when everyone is registered or refused.
    """

    def __init__(
        self,
        client: Client,
        people: list[SimulatedPerson],
        tally: DemoTally,
        chance: random.Random,
        on_registered: Callable[[SimulatedPerson], None],
    ) -> None:
        self.players: list[SimulatedPerson] = []
        self._client = client
        self._queue = deque(people)
        self._in_flight = 0
        self._tally = tally
        self._chance = chance
        self._on_registered = on_registered
        self._resumes_at = 0.0

    @property
    def waiting(self) -> int:
        """The number of people who are not registered yet."""
        return len(self._queue) + self._in_flight

    @property
    def paused_for(self) -> float:
        """Seconds until the server takes the next registration, as its Retry-After said."""
        return max(0.0, self._resumes_at - asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Register everyone."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(WORKERS):
                tasks.create_task(self._register_all(), name=f"register-{number}")

    def remove(self, person: SimulatedPerson) -> None:
        """Stop a person from playing. Removing a person twice is not an error."""
        if person in self.players:
            self.players.remove(person)

    async def _register_all(self) -> None:
        while self._queue:
            person = self._queue.popleft()
            self._in_flight += 1
            try:
                answer = await self._register(person)
            finally:
                self._in_flight -= 1
            if answer.status == 201:
                if not person.cheat:
                    self.players.append(person)
                self._on_registered(person)
                self._tally.people += 1
            else:
                self._tally.failed[f"register: {answer.code}"] += 1

    async def _register(self, person: SimulatedPerson) -> DemoResponse:
        """Register a person: with another name when theirs is taken, and after the wait that the server asks for."""
        names = tries = 0
        while True:
            if wait := self.paused_for:
                await asyncio.sleep(wait)
                continue
            answer = await self._client.register(person)
            if answer.code in _OTHER_NAME and names < NAME_TRIES:
                names += 1
                person.name = other_name(person.name, self._chance)
            elif answer.status == 429 or (answer.unsettled and tries < REGISTER_TRIES):
                tries += 1
                pause = answer.retry_after or WAIT_WHEN_UNTOLD
                self._resumes_at = max(self._resumes_at, asyncio.get_running_loop().time() + pause)
            else:
                return answer
