"""The evening: people arrive at the door while those who are in already play.

Actions come as a Poisson process at the planned rate whatever the server does (an open loop), up to
a bound of actions in flight; a server that falls behind is seen as one, not waited for in silence.
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
from .cheaters import GAPS, corrupt, facts, target
from .client import CONNECTIONS, TIMEOUT, Client, Kind
from .door import Door
from .people import SimulatedPerson, invent
from .tally import DemoTally

IN_FLIGHT = 512
GRACE, SHORT_GRACE = 10.0, 2.0
"""Seconds for the last replies to come, at the end and after Ctrl-C."""
TICK = 0.1
FOREVER = float("inf")
_TYPE_GONE = ("action_type_unknown", "action_type_inactive")


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` is actions a second of all honest people. `cheaters` is the share of the others among them.

    The same `seed` gives the same people and habits.
    """

    url: str
    people: int
    rate: float
    seconds: float
    seed: int | None = None
    cheaters: float = 0.0


async def run(plan: Plan, console: Console | None) -> DemoTally:
    """Play until the time is over or Ctrl-C; prints to `console` if there is one. Raises NoServer."""
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
    """Who plays what, and which actions are on their way. Set `stop` to end early."""

    def __init__(self, plan: Plan, client: Client, kinds: dict[str, Kind], tally: DemoTally) -> None:
        self.plan = plan
        self.tally = tally
        self.stop = asyncio.Event()
        self._client = client
        self._scores = {name: kind.base_score for name, kind in kinds.items()}
        self._schemas = {name: kind.metadata for name, kind in kinds.items()}
        self._chance = random.Random(plan.seed)  # noqa: S311  a game, not a secret
        people = invent(plan.people, list(kinds), self._chance)
        corrupt(people, plan.cheaters, self._chance)
        self.door = Door(client, people, tally, self._chance, self._enter)
        self._cheats: set[asyncio.Task[None]] = set()
        self._on_the_way: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    @property
    def elapsed(self) -> float:
        return self._loop.time() - self._started

    async def play(self) -> None:
        arrivals = asyncio.create_task(self.door.run(), name="door")
        try:
            await self._until_over(arrivals)
        finally:
            await self._close(arrivals)

    async def _until_over(self, arrivals: asyncio.Task[None]) -> None:
        due = 0.0
        while (due := due + self._chance.expovariate(self.plan.rate)) < self.plan.seconds:
            if await self._stopped_within(due - self.elapsed):
                return
            if not self.door.inside:
                due = self.elapsed  # what was due while nobody was in is nobody's
                if arrivals.done():
                    return
            elif len(self._on_the_way) >= IN_FLIGHT:
                self.tally.held_back += 1
            else:
                self._somebody_acts()

    async def _stopped_within(self, seconds: float) -> bool:
        if seconds > 0 and not self.stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stop.wait()
        else:
            await asyncio.sleep(0)
        return self.stop.is_set()

    def _somebody_acts(self) -> None:
        now = self._loop.time()
        people = self.door.inside
        person = self._chance.choices(people, [one.weight(now, self._chance) for one in people])[0]
        kind = person.choose(self._scores, now, self._chance)
        if kind is None:
            return
        self._send(person, kind)

    def _enter(self, person: SimulatedPerson) -> None:
        """A cheat plays at a pace of its own."""
        if person.cheat:
            task = asyncio.create_task(self._cheat(person), name=f"cheat-{person.cheat}")
            self._cheats.add(task)
            task.add_done_callback(self._cheats.discard)

    async def _cheat(self, person: SimulatedPerson) -> None:
        due = self.elapsed
        while (due := due + GAPS[person.cheat](self._chance)) < self.plan.seconds:
            if await self._stopped_within(due - self.elapsed):
                return
            kind = target(person, self._scores, self._schemas, self._chance)
            if kind is None or person.not_before.get(kind, 0.0) > self._loop.time():
                continue
            if len(self._on_the_way) >= IN_FLIGHT:
                self.tally.held_back += 1
            else:
                self._send(person, kind)

    def _send(self, person: SimulatedPerson, kind: str) -> None:
        self.tally.sent += 1
        task = asyncio.create_task(self._act(person, kind))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)

    async def _act(self, person: SimulatedPerson, kind: str) -> None:
        began = self._loop.time()
        metadata = facts(self._schemas[kind], self._chance, best=person.cheat == "parrot")
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
        """A verdict, and what is learnt from it; else what answers is not well."""
        if 400 <= no.status < 500 and no.status != 429:
            self.tally.refused[no.code] += 1
            self._learn(person, kind, no)
        else:
            self.tally.failed[no.code] += 1

    def _learn(self, person: SimulatedPerson, kind: str, no: Refused) -> None:
        """Nobody knocks twice where they were told when to come back, or that there is no coming back."""
        if no.status in (401, 403):
            self.door.turn_out(person)
        elif no.code in _TYPE_GONE:
            self._scores.pop(kind, None)
        else:
            wait = FOREVER if no.retry_after is None else no.retry_after
            person.not_before[kind] = self._loop.time() + wait

    async def _close(self, arrivals: asyncio.Task[None]) -> None:
        """Let the last replies come in, within reason; what is out then has failed, unless we were interrupted."""
        self.tally.interrupted = self.stop.is_set()
        self.tally.not_let_in = self.door.waiting
        for task in (arrivals, *self._cheats):
            task.cancel()
        await asyncio.gather(arrivals, *self._cheats, return_exceptions=True)
        if self._on_the_way:
            grace = SHORT_GRACE if self.tally.interrupted else GRACE
            _, late = await asyncio.wait(self._on_the_way, timeout=grace)
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
    """A progress bar with live counts while the block runs, where somebody can see it."""
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
    tally, door = game.tally, game.door
    while True:
        words = f"{tally.people}/{game.plan.people} people  {tally.awarded:,} awarded"
        words += f"  {tally.refused.total():,} refused  {tally.failed.total():,} failed"
        if door.shut_for:
            words += f"  [yellow]{door.waiting} at the door for {door.shut_for:.0f} s[/]"
        if tally.leader:
            words += f"  leads: [bold]{escape(tally.leader)}[/]"
        progress.update(bar, completed=game.elapsed, description=words)
        await asyncio.sleep(TICK)
