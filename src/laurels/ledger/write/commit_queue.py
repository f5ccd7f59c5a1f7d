"""The queue of the group commit: requests in order of arrival, from which lanes cut their batches.

A request may be too large for the time that its caller waits. Then it is cut into slices, and one of them is in flight
at a time. Whatever no lane has taken when the caller must be answered is not written, and the answer says so.
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
"""How long one batch may be expected to take: whatever waits behind it waits as long."""
CALLER_CHECK_SECONDS = 0.1
"""How often callers are checked for having waited long enough. One check serves all, so waiting costs no timer."""
CALLER_SECONDS = ANSWER_SECONDS - CALLER_CHECK_SECONDS
"""Age of a request, in seconds, from which its caller may be answered although it is not decided."""
LAST_START = CALLER_SECONDS - 0.2
"""Age of a request, in seconds, after which none of it is begun: it could hardly be answered in time."""
MARGIN = 0.7
"""Share of the time that is left to a caller which a batch may take at the slowest recent rate."""
SUSPECT_SECONDS = 60.0
"""How long a user who sent an action that can't be stored gets batches of their own …"""
MAX_SUSPECTS = 1_000
"""… and how many such users are remembered; the oldest are dropped first."""


class DecidedAction(msgspec.Struct, frozen=True, gc=False):
    """The ledger's answer to one submission: an accepted action with its user's placement."""

    accepted: Accepted
    placement: Placement


Result = DecidedAction | LaurelsError


@dataclass(slots=True, eq=False)
class CommitRequest:
    """Submissions that arrived together. `taken` counts those that were cut off for a batch, from the front."""

    submissions: Sequence[Submission]
    done: asyncio.Future[list[Result]]
    enqueued_at: float
    taken: int = 0
    given_up: bool = False
    _missing: int = 0
    _results: list[Result | None] | None = None

    @property
    def waiting(self) -> int:
        """Return how many submissions were not cut off yet."""
        return len(self.submissions) - self.taken

    def fill(self, start: int, results: list[Result]) -> None:
        """Add the results of the submissions from `start` on; the last ones resolve the request."""
        if len(results) == len(self.submissions):
            self._resolve(results)
            return
        if self._results is None:
            self._results, self._missing = [None] * len(self.submissions), len(self.submissions)
        self._results[start : start + len(results)] = results
        self._missing -= len(results)
        if not self._missing:
            self._resolve([result for result in self._results if result is not None])

    def give_up(self, in_flight: Sequence[Slice], refusal: LaurelsError) -> None:
        """Answer now: `outcome_unknown` for the slices in flight, `refusal` for whatever was not begun."""
        self.given_up = True
        results = list(self._results or [None] * len(self.submissions))
        for part in in_flight:
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
    """Split a batch of more than one submission: between its requests or, if there is only one, within it."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return batch[:middle], batch[middle:]
    (whole,) = batch
    middle = (whole.start + whole.stop) // 2
    return [Slice(whole.request, whole.start, middle)], [Slice(whole.request, middle, whole.stop)]


class CommitQueue:
    """`queued` counts actions, including those set apart."""

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
        """Return whether no request waits, apart from those that were set apart."""
        return not self._requests

    def put(self, request: CommitRequest) -> None:
        self._requests.append(request)
        self._waiting.append(request)
        self.queued += len(request.submissions)

    def put_back(self, batch: Batch) -> None:
        """Put the uncut rest of a batch's last request back in front, now that the batch is decided."""
        last = batch[-1].request
        if not last.waiting:
            return
        if last.given_up:
            self.queued -= last.waiting
        else:
            self._requests.appendleft(last)

    def cut(self, most: int, budget: RowBudget, now: float) -> Batch:
        """Cut off a batch of about `most` actions within `budget`; refuse requests that it is too late for.

        Only the first request of a batch is split, so batches hold whole requests where they can.
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
                budget.limit(request.enqueued_at + CALLER_SECONDS - now, self.queued)
            elif count + request.waiting > most:
                break
            fits = budget.take(request)
            if fits < request.waiting and batch:
                break
            count += fits
            batch.append(self._cut_first(max(1, fits)))
            if request.waiting:
                break
        return batch

    def late(self, since: float) -> Iterator[CommitRequest]:
        """Yield requests that arrived by `since` and are not answered; each one once."""
        while self._waiting and (self._waiting[0].done.done() or self._waiting[0].enqueued_at <= since):
            request = self._waiting.popleft()
            if not request.done.done():
                yield request

    def set_apart(self, batch: Batch, *, blamed: bool) -> None:
        """Keep a batch for `cut_apart`. `blamed`: only its own requests can hold the action that can't be stored."""
        (self._blamed if blamed else self._mixed).append(batch)
        self.queued += sum(map(len, batch))

    def cut_apart(self, now: float) -> Batch:
        """Return a batch that was set apart, without requests answered meanwhile; an empty batch if there is none."""
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
        """Keep the user's requests apart from now on: they sent an action that can't be stored."""
        self._suspects.put(user_id, now + SUSPECT_SECONDS)

    def take_all(self) -> Iterator[Slice]:
        """Empty the queue and yield its slices."""
        while self._requests:
            request = self._requests[0]
            yield self._cut_first(request.waiting)
        while batch := self.cut_apart(0.0):
            yield from batch

    def _is_suspect(self, request: CommitRequest, now: float) -> bool:
        """Return whether one of the request's users is suspected; a server's request may hold many users."""
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
class RowBudget:
    """The rows that a batch may write: one for each action, and one for each of its users on each of `boards`."""

    boards: int
    seconds_per_row: float
    slowest: float = 0.0
    """Seconds per row at the slowest recent rate (`CommitCost`): what the time left to a caller must allow for."""
    _left: float = 0.0
    _is_tight: bool = True
    _users: set[int] = field(default_factory=set)

    def limit(self, seconds: float, queued: int) -> None:
        """Allow for as many rows as fit into BATCH_SECONDS, and into the `seconds` left to the first caller."""
        slowest = max(self.slowest, self.seconds_per_row)
        self._left = min(BATCH_SECONDS / self.seconds_per_row, MARGIN * seconds / slowest)
        self._is_tight = queued * (1 + self.boards) > self._left

    def take(self, request: CommitRequest) -> int:
        """Return how many more submissions of a request fit, and take their rows off the budget."""
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
    """Return the answer for an action whose batch may or may not have been committed."""
    return LaurelsError(
        Code.OUTCOME_UNKNOWN,
        "The ledger did not say in time whether it wrote this. Send the same action_identifier again: it counts once.",
        retry_after=1,
    )


def not_written() -> LaurelsError:
    """Return the refusal of an action that no lane has begun: the ledger was too busy."""
    return LaurelsError(
        Code.OVERLOADED, "The ledger had no time for this: it was not written. Send it again shortly.", retry_after=1
    )
