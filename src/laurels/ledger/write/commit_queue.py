"""The queue of the group commit: requests in the order in which they came, from which lanes cut their batches.

A request may be too large for the time that its caller waits: then it is cut into slices, one under way at a time.
What no lane has taken when the caller must be answered is not written, and the answer says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from ...concurrency.bounded_dict import BoundedDict
from ...domain.actions import Placement, Submission
from ...domain.errors import Code, LaurelsError
from ...domain.judgement import Accepted
from ..db.pool import ANSWER_SECONDS

BATCH_SECONDS = 0.5
"""How long one batch may be expected to take: what waits behind it waits so long."""
LAST_START = ANSWER_SECONDS - 0.3
"""Age of a request, in seconds, after which nothing of it is started: it could hardly be answered in time."""
CERTAINTY = 0.7
"""Share of the time that is left to a caller in which the batch must be expected to end."""
SUSPECT_SECONDS = 60.0
"""How long after an action that can't be stored its user's requests are kept apart from those of others …"""
MAX_SUSPECTS = 1_000
"""… and of how many users that is known; the oldest are forgotten first."""


class DecidedAction(msgspec.Struct, frozen=True, gc=False):
    """The ledger's answer to one submission: an accepted action with its placement."""

    accepted: Accepted
    placement: Placement


Result = DecidedAction | LaurelsError


@dataclass(slots=True, eq=False)
class CommitRequest:
    """Submissions that came together. `taken` counts those that were cut off for a batch, from the front."""

    submissions: Sequence[Submission]
    done: asyncio.Future[list[Result]]
    enqueued_at: float
    taken: int = 0
    given_up: bool = False
    _missing: int = 0
    _results: list[Result | None] | None = None

    @property
    def waiting(self) -> int:
        """How many submissions were not cut off yet."""
        return len(self.submissions) - self.taken

    def fill(self, start: int, results: list[Result]) -> None:
        """Take the results of some submissions; the last ones settle the request."""
        if len(results) == len(self.submissions):
            self._resolve(results)
            return
        if self._results is None:
            self._results, self._missing = [None] * len(self.submissions), len(self.submissions)
        self._results[start : start + len(results)] = results
        self._missing -= len(results)
        if not self._missing:
            self._resolve([result for result in self._results if result is not None])

    def give_up(self, under_way: Sequence[Slice], refusal: LaurelsError) -> None:
        """Answer now: `refusal` for what was not begun, `outcome_unknown` for what is under way."""
        self.given_up = True
        results = list(self._results or [None] * len(self.submissions))
        for part in under_way:
            for position in range(part.start, part.stop):
                results[position] = results[position] or outcome_unknown()
        self._resolve([result or refusal for result in results])

    def _resolve(self, results: list[Result]) -> None:
        if not self.done.done():
            self.done.set_result(results)


class Slice(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Some submissions of one request."""

    request: CommitRequest
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def submissions(self) -> Sequence[Submission]:
        return self.request.submissions[self.start : self.stop]


Batch = list[Slice]


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Split a batch of more than one submission: between requests or, if there is one, within it."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return batch[:middle], batch[middle:]
    (whole,) = batch
    middle = (whole.start + whole.stop) // 2
    return [Slice(whole.request, whole.start, middle)], [Slice(whole.request, middle, whole.stop)]


class CommitQueue:
    """`queued` counts actions, also those set aside."""

    def __init__(self) -> None:
        self.queued = 0
        self._requests: deque[CommitRequest] = deque()
        self._waiting: deque[CommitRequest] = deque()
        self._mixed: deque[Batch] = deque()
        self._blamed: deque[Batch] = deque()
        self._suspects: BoundedDict[int, float] = BoundedDict(MAX_SUSPECTS)

    def __bool__(self) -> bool:
        return bool(self._requests or self._mixed or self._blamed)

    @property
    def is_empty(self) -> bool:
        """Whether no request waits, apart from those that were set aside."""
        return not self._requests

    def put(self, request: CommitRequest) -> None:
        self._requests.append(request)
        self._waiting.append(request)
        self.queued += len(request.submissions)

    def put_back(self, batch: Batch) -> None:
        """Let what was not cut off of a request wait on, before all others: the batch with the rest is decided."""
        last = batch[-1].request
        if not last.waiting:
            return
        if last.given_up:
            self.queued -= last.waiting
        else:
            self._requests.appendleft(last)

    def cut(self, most: int, rows: RowCounts, now: float) -> Batch:
        """Cut off a batch of about `most` actions that fits the time; refuse those that it is too late for.

        Only the first request is split, so that a batch holds whole requests where it can.
        """
        batch: Batch = []
        count = 0
        while self._requests:
            request = self._requests[0]
            if request.given_up or now > request.enqueued_at + LAST_START:
                self._drop_first()
                continue
            if self._suspects and self._is_suspect(request, now):
                self._set_first_apart()
                continue
            if not batch:
                rows.limit(request.enqueued_at + ANSWER_SECONDS - now, self.queued)
            elif count + request.waiting > most:
                break
            fits = rows.fitting(request)
            if fits < request.waiting and batch:
                break
            count += fits
            batch.append(self._cut_first(max(1, fits)))
            if request.waiting:
                break
        return batch

    def late(self, since: float) -> Iterator[CommitRequest]:
        """Yield requests that came before `since` and were not answered; each once."""
        while self._waiting and (self._waiting[0].done.done() or self._waiting[0].enqueued_at <= since):
            request = self._waiting.popleft()
            if not request.done.done():
                yield request

    def set_apart(self, batch: Batch, *, blamed: bool) -> None:
        """Keep a batch for `cut_apart`; `blamed`: its requests alone hold what can't be stored."""
        (self._blamed if blamed else self._mixed).append(batch)
        self.queued += sum(map(len, batch))

    def cut_apart(self, now: float) -> Batch:
        """Return a batch that was set apart, without requests that were answered meanwhile; an empty one if none is."""
        while self._mixed or self._blamed:
            batch = (self._mixed or self._blamed).popleft()
            self.queued -= sum(map(len, batch))
            alive = [part for part in batch if not part.request.given_up]
            if len(alive) > 1 and self._suspects:
                alive = self._without_suspects(alive, now)
            if alive:
                return alive
        return []

    def _without_suspects(self, batch: Batch, now: float) -> Batch:
        rest = []
        for part in batch:
            if self._is_suspect(part.request, now):
                self.set_apart([part], blamed=True)
            else:
                rest.append(part)
        return rest

    def suspect(self, user_id: int, now: float) -> None:
        """Note that a user sent what can't be stored."""
        self._suspects.put(user_id, now + SUSPECT_SECONDS)

    def drain(self) -> Iterator[Slice]:
        """Yield all that waits, and forget it."""
        while self._requests:
            request = self._requests[0]
            yield self._cut_first(request.waiting)
        while batch := self.cut_apart(0.0):
            yield from batch

    def _is_suspect(self, request: CommitRequest, now: float) -> bool:
        """Return whether a user of the request is under suspicion: one may stand for all, as in a server's batch."""
        while self._suspects and next(iter(self._suspects.values())) <= now:
            self._suspects.popitem(last=False)
        return any(item.user_id in self._suspects for item in request.submissions)

    def _cut_first(self, count: int) -> Slice:
        request = self._requests.popleft()
        start = request.taken
        request.taken = start + count
        self.queued -= count
        return Slice(request, start, request.taken)

    def _set_first_apart(self) -> None:
        self.set_apart([self._cut_first(self._requests[0].waiting)], blamed=True)

    def _drop_first(self) -> None:
        part = self._cut_first(self._requests[0].waiting)
        if not part.request.given_up:
            part.request.fill(part.start, [not_written()] * len(part))


@dataclass(slots=True)
class RowCounts:
    """How many rows a batch may write: one for each action, and one for each user on each of `boards`."""

    boards: int
    seconds_per_row: float
    """As measured: see `CommitCost`."""
    _left: float = 0.0
    _is_tight: bool = True
    _users: set[int] = field(default_factory=set)

    def limit(self, seconds: float, queued: int) -> None:
        """Allow for what can be written in BATCH_SECONDS, and in the time left to the first caller."""
        self._left = min(BATCH_SECONDS, CERTAINTY * seconds) / self.seconds_per_row
        self._is_tight = queued * (1 + self.boards) > self._left

    def fitting(self, request: CommitRequest) -> int:
        """Return how many more submissions of a request fit, and count them."""
        if not self._is_tight:
            return request.waiting
        for count in range(request.waiting):
            user_id = request.submissions[request.taken + count].user_id
            rows = 1 if user_id in self._users else 1 + self.boards
            if rows > self._left:
                return count
            self._left -= rows
            self._users.add(user_id)
        return request.waiting


def outcome_unknown() -> LaurelsError:
    return LaurelsError(
        Code.OUTCOME_UNKNOWN,
        "The ledger did not say in time whether it wrote this. Send the same action_identifier again: it counts once.",
        retry_after=1,
    )


def not_written() -> LaurelsError:
    """Return what a caller hears of an action that no lane has begun: the ledger was too busy."""
    return LaurelsError(
        Code.OVERLOADED, "The ledger had no time for this: it was not written. Send it again shortly.", retry_after=1
    )
