"""Promises of one client's conversation, whatever it says in whatever order: against a simple model."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from laurels.domain.errors import Code, LaurelsError
from laurels.live import protocol
from laurels.live.protocol import Close
from laurels.live.session import (
    CloseConnection,
    LiveSession,
    Send,
    StartSubscription,
    StopSubscription,
    SubmitAction,
    UserIdentity,
    VerifyToken,
)

CHANNELS = ["me", *(f"board:b-{n}" for n in range(20)), "activity:b-1"]
LIFE = 900.0


def identity(user: int, now: float, life: float = LIFE) -> UserIdentity:
    return UserIdentity(user, f"user-{user}", 1_800_000_000, now + life)


class Conversation(RuleBasedStateMachine):
    """The model: whom it speaks for, what it follows, what is unanswered, and how many frames it may still send."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.session = LiveSession(self.now)
        self.user: int | None = None
        self.ends_at = float("inf")
        self.followed: set[str] = set()
        self.unanswered = 0
        self.credit = float(protocol.FRAME_BURST)
        self.open = True

    def say(self, frame: protocol.ClientFrame, *, free: bool = False) -> list | None:
        """Return the effects that the session wants; None when the frame is one too many, and the socket must close."""
        effects = self.session.receive(frame, self.now)
        if not self.open:
            assert effects == []
            return None
        if not free:
            self.credit -= 1
            if self.credit < -1e-6:
                assert effects == [CloseConnection(Close.TOO_MANY_FRAMES)]
                self.open = False
                return None
        return effects

    @rule(seconds=st.floats(0.01, 60))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.credit = min(protocol.FRAME_BURST, self.credit + seconds * protocol.FRAMES_PER_SECOND_IN)
        effects = self.session.tick(self.now)
        if self.open and self.now >= self.ends_at:
            assert effects == [CloseConnection(Close.TOKEN_ENDED)]
            self.open = False
        else:
            assert all(isinstance(e, Send) and isinstance(e.frame, protocol.TokenExpiring) for e in effects)

    @rule(user=st.sampled_from([1, 1, 1, 2]))
    def authenticates(self, user: int) -> None:
        if self.say(protocol.Authenticate(id=1, token="t")) is None:
            return
        (said,) = self.session.verified(identity(user, self.now), 1, self.now)
        if self.user in (None, user):
            assert isinstance(said.frame, protocol.Authenticated)
            self.user, self.ends_at = user, self.now + LIFE
        else:
            assert said.frame.code is Code.FORBIDDEN

    @rule(channel=st.sampled_from(CHANNELS), since=st.sampled_from([None, "v"]))
    def subscribes(self, channel: str, since: str | None) -> None:
        board = channel.startswith("board:")
        effects = self.say(protocol.Subscribe(id=2, channel=channel, since=since))
        if effects is None:
            return
        if since and not board:
            assert effects[0].frame.code is Code.INVALID_REQUEST
        elif channel == "me" and self.user is None:
            assert effects[0].frame.code is Code.TOKEN_MISSING
        elif channel not in self.followed and len(self.followed) == protocol.MAX_SUBSCRIPTIONS:
            assert effects[0].frame.code is Code.TOO_MANY_SUBSCRIPTIONS
        else:
            left = [StopSubscription(channel)] if channel in self.followed else []
            assert effects == [*left, StartSubscription(channel, 10 if board else None, since, 2, confirm=True)]
            self.followed.add(channel)

    @rule(channel=st.sampled_from(CHANNELS))
    def unsubscribes(self, channel: str) -> None:
        effects = self.say(protocol.Unsubscribe(channel=channel))
        if effects is not None:
            assert [type(e) for e in effects] == ([StopSubscription, Send] if channel in self.followed else [Send])
            self.followed.discard(channel)

    @rule(channel=st.sampled_from(CHANNELS))
    def resyncs(self, channel: str) -> None:
        effects = self.say(protocol.Resync(channel=channel))
        if effects is None:
            return
        if channel in self.followed and not channel.startswith("activity:"):
            assert effects[-1].since is None
        else:
            assert effects[0].frame.code is Code.INVALID_REQUEST

    @rule(count=st.sampled_from([1, 1, 200, 600]))
    def completes(self, count: int) -> None:
        for number in range(count):
            taken = self.user is not None and self.unanswered < protocol.MAX_UNANSWERED
            effects = self.say(protocol.Complete(id=number, action=None), free=taken)
            if effects is None:
                return
            if taken:
                assert effects == [SubmitAction(number, None)]
                self.unanswered += 1
            else:
                code = Code.TOKEN_MISSING if self.user is None else Code.TOO_MANY_UNANSWERED
                assert (effects[0].frame.id, effects[0].frame.code) == (number, code)

    @precondition(lambda self: self.unanswered)
    @rule(data=st.data())
    def results_come(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, self.unanswered))
        self.session.answered(count)
        self.unanswered -= count

    @invariant()
    def they_agree(self) -> None:
        assert self.session.closed == (not self.open)
        assert set(self.session.subscriptions) == self.followed
        assert self.session.unanswered == self.unanswered


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_token_is_asked_for_again_before_it_ends() -> None:
    session = LiveSession(0.0)
    session.verified(identity(1, 0.0), None, 0.0)
    assert session.deadline == LIFE - 60
    (notice,) = session.tick(LIFE - 60)
    assert (notice.frame.seconds, session.tick(LIFE - 59)) == (60, [])
    session.verified(identity(1, LIFE - 30), None, LIFE - 30)
    assert session.tick(LIFE + 1) == []
    assert session.tick(2 * LIFE - 30)[-1] == CloseConnection(Close.TOKEN_ENDED)


def test_who_said_a_token_would_come_has_five_seconds() -> None:
    session = LiveSession(0.0, must_authenticate=True)
    assert session.tick(4.9) == []
    assert session.tick(5.0) == [CloseConnection(Close.TOKEN_ENDED)]


@pytest.mark.parametrize("close", [None, Close.NOT_ALLOWED])
def test_a_bad_token_is_refused_with_its_id(close: Close | None) -> None:
    session = LiveSession(0.0)
    assert session.receive(protocol.Authenticate(id=7, token="x"), 0.0) == [VerifyToken("x", 7)]
    said = session.not_verified(LaurelsError(Code.TOKEN_INVALID, "no"), 7, close)
    assert said[0].frame.id == 7
    assert session.closed == (close is not None)


@given(st.lists(st.floats(0, 0.3), max_size=400))
def test_the_rate_of_frames_is_bounded(waits: list[float]) -> None:
    """Over any stretch no more than the burst and what time gives back."""
    session, now = LiveSession(0.0), 0.0
    taken: Counter[bool] = Counter()
    for wait in waits:
        now += wait
        taken[bool(session.receive(protocol.Ping(), now))] += not session.closed
    assert taken[True] <= protocol.FRAME_BURST + now * protocol.FRAMES_PER_SECOND_IN + 1
