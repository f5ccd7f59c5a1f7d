"""The door: people register, a few at once, while those who are in already play.

Registrations are limited per address. When the server says to wait, everybody at the door waits,
and the progress bar says so.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

from .client import Client, DemoResponse
from .people import SimulatedPerson, other_name
from .tally import DemoTally

DOORS = 4
"""People who register at once: hashing a password takes the server a while."""
NAME_TRIES = 8
REGISTER_TRIES = 10
WAIT_WHEN_UNTOLD = 1.0
_OTHER_NAME = ("username_taken", "username_invalid")


class Door:
    """`inside` are the honest ones, who may play; `entered` hears of everybody who comes in.

    `run()` ends when everybody is in or turned away.
    """

    def __init__(
        self,
        client: Client,
        people: list[SimulatedPerson],
        tally: DemoTally,
        chance: random.Random,
        entered: Callable[[SimulatedPerson], None],
    ) -> None:
        self.inside: list[SimulatedPerson] = []
        self._client = client
        self._outside = deque(people)
        self._entering = 0
        self._tally = tally
        self._chance = chance
        self._entered = entered
        self._opens = 0.0

    @property
    def waiting(self) -> int:
        return len(self._outside) + self._entering

    @property
    def shut_for(self) -> float:
        """Seconds until the server lets the next one register, as it told us."""
        return max(0.0, self._opens - asyncio.get_running_loop().time())

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(DOORS):
                tasks.create_task(self._let_in(), name=f"door-{number}")

    def turn_out(self, person: SimulatedPerson) -> None:
        """Somebody may not play any more. Twice is no error."""
        if person in self.inside:
            self.inside.remove(person)

    async def _let_in(self) -> None:
        while self._outside:
            person = self._outside.popleft()
            self._entering += 1
            try:
                answer = await self._register(person)
            finally:
                self._entering -= 1
            if answer.status == 201:
                if not person.cheat:
                    self.inside.append(person)
                self._entered(person)
                self._tally.people += 1
            else:
                self._tally.failed[f"register: {answer.code}"] += 1

    async def _register(self, person: SimulatedPerson) -> DemoResponse:
        """Until it is settled: another name when it is taken, the wait that we are told to make."""
        names = tries = 0
        while True:
            if wait := self.shut_for:
                await asyncio.sleep(wait)
                continue
            answer = await self._client.register(person)
            if answer.code in _OTHER_NAME and names < NAME_TRIES:
                names += 1
                person.name = other_name(person.name, self._chance)
            elif answer.status == 429 or (answer.unsettled and tries < REGISTER_TRIES):
                tries += 1
                pause = answer.retry_after or WAIT_WHEN_UNTOLD
                self._opens = max(self._opens, asyncio.get_running_loop().time() + pause)
            else:
                return answer
