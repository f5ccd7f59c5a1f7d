"""The game: people register while those who are registered already play.

Actions come as a Poisson process at the planned rate whatever the server does (an open loop), up to a bound of actions
in flight: a slow server shows in the figures instead of slowing the game down.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from laurels_client import Receipt, Refused, Unsettled

from ..event_loop import stopped_by_signals
from .cheaters import GAPS, choose_type, make_cheaters, make_metadata
from .client import CONNECTIONS, TIMEOUT, Client, Kind
from .people import SimulatedPerson, invent_people
from .registration import Registration
from .tally import DemoTally

IN_FLIGHT = 512
GRACE, SHORT_GRACE = 10.0, 2.0
"""Seconds to wait for the last replies, at the end and after Ctrl-C."""
TICK = 0.1
NEVER_AGAIN = float("inf")
_TYPE_GONE = ("action_type_unknown", "action_type_inactive")


@dataclass(frozen=True, slots=True)
class Plan:
    """A game to play. `rate`: actions a second of all honest people. `cheaters`: the share of people who cheat.

    The same `seed` gives the same people and habits.
    """

    url: str
    people: int
    rate: float
    seconds: float
    seed: int | None = None
    cheaters: float = 0.0


async def run(plan: Plan, console: Console | None) -> DemoTally:
    """Play until the time is over or Ctrl-C, and print to `console` if there is one. Raises NoServer."""
    url = (plan.url if "://" in plan.url else f"http://{plan.url}").rstrip("/")
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:
        client = Client(session, url)
        game = Game(plan, client, await client.action_types(), DemoTally(url))
        with stopped_by_signals(game.stop):
            async with _shown(game, console):
                await game.play()
        game.tally.top = await client.top(5)
    if console is not None:
        game.tally.print(console)
    return game.tally


class Game:
    """Decides who plays what, and holds the actions in flight. Set `stop` to end early."""

    def __init__(self, plan: Plan, client: Client, kinds: dict[str, Kind], tally: DemoTally) -> None:
        self.plan = plan
        self.tally = tally
        self.stop = asyncio.Event()
        self._client = client
        self._scores = {name: kind.base_score for name, kind in kinds.items()}
        self._schemas = {name: kind.metadata for name, kind in kinds.items()}
        self._chance = random.Random(plan.seed)  # noqa: S311  a game, not a secret
        people = invent_people(plan.people, list(kinds), self._chance)
        make_cheaters(people, plan.cheaters, self._chance)
        self.registration = Registration(client, people, tally, self._chance, self._start_cheating)
        self._cheating: set[asyncio.Task[None]] = set()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    @property
    def elapsed(self) -> float:
        return self._loop.time() - self._started

    async def play(self) -> None:
        arrivals = asyncio.create_task(self.registration.run(), name="registration")
        try:
            await self._until_over(arrivals)
        finally:
            await self._close(arrivals)

    async def _until_over(self, arrivals: asyncio.Task[None]) -> None:
        due = 0.0
        while (due := due + self._chance.expovariate(self.plan.rate)) < self.plan.seconds:
            if await self._stopped_within(due - self.elapsed):
                return
            if not self.registration.players:
                due = self.elapsed  # what was due while no one could play is dropped
                if arrivals.done():
                    return
            elif len(self._in_flight) >= IN_FLIGHT:
                self.tally.held_back += 1
            else:
                self._act_once()

    async def _stopped_within(self, seconds: float) -> bool:
        if seconds > 0 and not self.stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stop.wait()
        else:
            await asyncio.sleep(0)
        return self.stop.is_set()

    def _act_once(self) -> None:
        now = self._loop.time()
        people = self.registration.players
        person = self._chance.choices(people, [one.weight(now, self._chance) for one in people])[0]
        kind = person.choose(self._scores, now, self._chance)
        if kind is None:
            return
        self._send(person, kind)

    def _start_cheating(self, person: SimulatedPerson) -> None:
        """Let a cheater play at a pace of their own."""
        if person.cheat:
            task = asyncio.create_task(self._cheat(person), name=f"cheat-{person.cheat}")
            self._cheating.add(task)
            task.add_done_callback(self._cheating.discard)

    async def _cheat(self, person: SimulatedPerson) -> None:
        due = self.elapsed
        while (due := due + GAPS[person.cheat](self._chance)) < self.plan.seconds:
            if await self._stopped_within(due - self.elapsed):
                return
            kind = choose_type(person, self._scores, self._schemas, self._chance)
            if kind is None or person.not_before.get(kind, 0.0) > self._loop.time():
                continue
            if len(self._in_flight) >= IN_FLIGHT:
                self.tally.held_back += 1
            else:
                self._send(person, kind)

    def _send(self, person: SimulatedPerson, kind: str) -> None:
        self.tally.sent += 1
        task = asyncio.create_task(self._complete(person, kind))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _complete(self, person: SimulatedPerson, kind: str) -> None:
        began = self._loop.time()
        metadata = make_metadata(self._schemas[kind], self._chance, best=person.cheat == "parrot")
        try:
            receipt = await self._client.complete(person, kind, metadata)
        except Refused as no:
            self._note_refusal(person, kind, no)
        except Unsettled as unknown:
            self.tally.failed[unknown.last] += 1
        else:
            self.tally.timed(self._loop.time() - began)
            self._count(person, receipt)

    def _count(self, person: SimulatedPerson, receipt: Receipt) -> None:
        if receipt.replayed:
            self.tally.replayed += 1
            return
        held = receipt.status == "held"
        self.tally.judged(person.name, person.cheat or "honest", held=held)
        if held:
            self.tally.held += 1
            return
        self.tally.awarded += 1
        self.tally.points += receipt.score_earned
        if receipt.rank == 1:
            self.tally.leader = person.name

    def _note_refusal(self, person: SimulatedPerson, kind: str, no: Refused) -> None:
        """Count a verdict and heed it; count anything else as a failure of the server."""
        if 400 <= no.status < 500 and no.status != 429:
            self.tally.refused[no.code] += 1
            self._heed_refusal(person, kind, no)
        else:
            self.tally.failed[no.code] += 1

    def _heed_refusal(self, person: SimulatedPerson, kind: str, no: Refused) -> None:
        """Wait as long as the refusal says, or stop for good: a person does not repeat what was refused."""
        if no.status in (401, 403):
            self.registration.remove(person)
        elif no.code in _TYPE_GONE:
            self._scores.pop(kind, None)
        else:
            wait = NEVER_AGAIN if no.retry_after is None else no.retry_after
            person.not_before[kind] = self._loop.time() + wait

    async def _close(self, arrivals: asyncio.Task[None]) -> None:
        """Wait a bounded time for the last replies. What is left then has failed, unless the game was interrupted."""
        self.tally.interrupted = self.stop.is_set()
        self.tally.not_let_in = self.registration.waiting
        for task in (arrivals, *self._cheating):
            task.cancel()
        await asyncio.gather(arrivals, *self._cheating, return_exceptions=True)
        if self._in_flight:
            grace = SHORT_GRACE if self.tally.interrupted else GRACE
            _, late = await asyncio.wait(self._in_flight, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            if self.tally.interrupted:
                self.tally.unfinished += len(late)
            elif late:
                self.tally.failed["no_reply_in_time"] += len(late)
        self.tally.seconds = self.elapsed


@contextlib.asynccontextmanager
async def _shown(game: Game, console: Console | None) -> AsyncIterator[None]:
    """Show a progress bar with live counts while the block runs, on a terminal."""
    if console is None or not console.is_terminal:
        if console is not None:
            console.print(f"Playing {game.plan.seconds:g} s at {game.tally.url}/ …")
        yield
        return
    console.print(f"Watch the board at [bold]{game.tally.url}/[/]  (Ctrl-C ends the game)")
    columns = (SpinnerColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=game.plan.seconds)
        painter = asyncio.create_task(_paint(game, progress, bar))
        try:
            yield
        finally:
            painter.cancel()


async def _paint(game: Game, progress: Progress, bar: TaskID) -> None:
    tally, registration = game.tally, game.registration
    while True:
        words = f"{tally.people}/{game.plan.people} people  {tally.awarded:,} awarded"
        words += f"  {tally.refused.total():,} refused  {tally.failed.total():,} failed"
        if registration.paused_for:
            words += f"  [yellow]{registration.waiting} wait to register for {registration.paused_for:.0f} s[/]"
        if tally.leader:
            words += f"  leads: [bold]{escape(tally.leader)}[/]"
        progress.update(bar, completed=game.elapsed, description=words)
        await asyncio.sleep(TICK)
