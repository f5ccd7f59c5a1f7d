"""`laurels_client` counts everything once, whatever the network does, and says what is final and what is not."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterable
from typing import Any, Self

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clients.proxy import LossyProxy
from tests.support.node import PASSWORD, InProcessNode
from tests.support.polling import eventually

from laurels_client import Action, BlockingLaurels, Laurels, Refused, Result, Unsettled, User
from laurels_client.batch import Batch
from laurels_client.outcome import FIRST_WAIT, LAST_WAIT, Patience


async def test_a_receipt_has_what_the_server_told(node: InProcessNode) -> None:
    async with Laurels(node.url, await node.token("ada")) as laurels:
        receipt = await laurels.complete("lesson", "lesson-17")
        assert (receipt.score_earned, receipt.new_score, receipt.rank, receipt.replayed) == (10, 10, 1, False)
        again = await laurels.complete("lesson", "lesson-17")
        assert (again.action_id, again.replayed) == (receipt.action_id, True)
        assert (await laurels.receipt("lesson-17")).action_id == receipt.action_id
        board = await laurels.top()
        assert [(row.username, row.score) for row in board.rows] == [("ada", 10)]
        assert (await laurels.rank("points", "ada")).rank == 1
        assert (await laurels.around("points", "ada", 2)).rows == board.rows


async def test_boards_are_read_from_any_place_and_for_friends(node: InProcessNode) -> None:
    """Page by page through `next`, and a set of users ranked among themselves."""
    for k, name in enumerate(("ada", "bob", "cyd"), 1):
        async with Laurels(node.url, await node.token(name)) as laurels:
            await laurels.batch([Action("lesson") for _ in range(k)])
    async with Laurels(node.url) as laurels:
        page = await laurels.rows("points", from_rank=2, limit=1)
        assert [(row.rank, row.username) for row in page.rows] == [(2, "bob")]
        last = await laurels.rows("points", limit=1, cursor=page.next)
        assert ([(row.rank, row.username) for row in last.rows], last.next, last.moved) == ([(3, "ada")], None, False)
        found = await laurels.ranks("points", ["ada", "cyd", "stranger"])
        assert [(row.username, row.rank, row.rank_within) for row in found.rows] == [("cyd", 1, 1), ("ada", 3, 2)]
        assert found.unknown == ["stranger"]


async def test_a_lost_reply_never_counts_twice(node: InProcessNode) -> None:
    """Requests whose answers are lost are sent again by themselves: as many points as actions, no more, no less."""
    token = await node.token("ada")
    async with LossyProxy(node.url) as way, Laurels(way.url, token) as laurels:
        for n in range(5):
            way.lose, way.refuse = n % 3, n % 2
            await laurels.complete("lesson")
        way.lose = 2
        results = await laurels.batch([Action("lesson") for _ in range(7)])
    assert {result.status for result in results} == {"replayed"}
    assert (await node.get("/api/boards/points/rank/ada"))[1]["score"] == 120


async def test_a_batch_of_any_size_is_answered_in_order(node: InProcessNode) -> None:
    """More than one commit holds: in parts; what the rules refuse is a result at its place."""
    token = await node.token("ada")
    actions = [Action("lesson" if n % 100 else "nothing", f"a{n}") for n in range(1_150)]
    async with Laurels(node.url, token) as laurels:
        results = await laurels.batch(actions)
    assert [result.action_identifier for result in results] == [action.action_identifier for action in actions]
    assert {r.code for r in results[::100]} == {"action_type_unknown"}
    assert all(r.receipt is not None for n, r in enumerate(results) if n % 100)


async def test_what_a_batch_had_settled_is_in_its_refusal(node: InProcessNode) -> None:
    """The second commit is refused as a whole: the results of the first are there, and what has none is named."""
    actions = [Action("lesson", f"a{n}") for n in range(2_400)]
    actions[1_500] = Action("lesson", "x" * 1_000)  # longer than an identifier may be
    token = await node.token("ada")
    async with Laurels(node.url, token) as laurels:
        with pytest.raises(Refused) as refused:
            await laurels.batch(actions)
    check_refused(refused.value, actions)
    with await asyncio.to_thread(BlockingLaurels, node.url, token) as blocking:
        with pytest.raises(Refused) as refused:
            await asyncio.to_thread(blocking.batch, actions)
        check_refused(refused.value, actions)
        await asyncio.to_thread(blocking.close)


def check_refused(refused: Refused, actions: list[Action]) -> None:
    assert refused.status == 422
    assert [result.action_identifier for result in refused.settled] == [f"a{n}" for n in range(1_000)]
    assert refused.remaining == actions[1_000:]


async def test_a_batch_that_is_cut_off_is_finished_later(node: InProcessNode) -> None:
    """The network fails between two commits: nothing is lost, and what remains counts once when it is sent again."""
    actions = [Action("lesson", f"a{n}") for n in range(3_000)]
    async with LossyProxy(node.url) as way, Laurels(way.url, await node.token("ada")) as laurels:
        way.after = 700_000
        with pytest.raises(Unsettled) as unsettled:
            await laurels.batch(actions, deadline=10)
        settled, remaining = list(unsettled.value.settled), list(unsettled.value.remaining)
        assert len(settled) in (1_000, 2_000)
        assert unsettled.value.identifiers == [action.action_identifier for action in remaining[:1_000]]
        way.after = math.inf
        settled += await laurels.batch(remaining, deadline=60)
    assert [result.action_identifier for result in settled] == [action.action_identifier for action in actions]
    assert (await node.get("/api/boards/points/rank/ada"))[1]["score"] == 30_000


async def test_an_action_that_cannot_be_encoded_is_found_before_any_is_sent(node: InProcessNode) -> None:
    actions = [*(Action("lesson", f"a{n}") for n in range(1_000)), Action("lesson", metadata={"x": object()})]
    async with Laurels(node.url, await node.token("ada")) as laurels:
        with pytest.raises(TypeError):
            await laurels.batch(actions)
    assert (await node.get("/api/boards/points/rank/ada"))[1]["score"] is None


async def test_a_batch_of_large_actions_is_cut_by_its_size(node: InProcessNode) -> None:
    """1,000 actions with all the metadata that they may have are more than one request may be."""
    actions = [Action("lesson", f"a{n}", metadata={"text": "é" * 1_500}) for n in range(700)]
    async with Laurels(node.url, await node.token("ada")) as laurels:
        results = await laurels.batch(actions, deadline=60)
    assert {result.status for result in results} == {"awarded"}
    assert len(results) == 700


async def test_a_function_of_tokens_that_fails_loses_no_result(node: InProcessNode) -> None:
    """It is asked for a new token in the middle of a batch, and can't give one."""
    given_out = [await node.token("ada")]

    async def provide() -> str:
        return given_out.pop()

    class Results(list[Result]):
        def __iadd__(self, more: Iterable[Result]) -> Self:  # type: ignore[override, misc]
            laurels._token = None  # as if the server had said that it has expired
            self.extend(more)
            return self

    results = Results()
    async with Laurels(node.url, provide) as laurels:
        with pytest.raises(Unsettled, match="IndexError") as unsettled:
            await laurels.send_batch(Batch(Action("lesson", f"a{n}") for n in range(2_500)), results, None)
    assert unsettled.value.settled == results
    assert (len(results), len(unsettled.value.remaining)) == (1_000, 1_500)


async def test_a_server_speaks_for_its_users(node: InProcessNode, api_key: str) -> None:
    """An API key completes on behalf of users, by name or id, in one commit; never mixed with its own."""
    ada = (await node.register("ada"))["user"]["id"]
    await node.register("bert")
    async with Laurels(node.url, api_key) as laurels:
        receipt = await laurels.complete("lesson", "l1", user=User(username="BERT"))
        assert (receipt.new_score, receipt.status) == (10, "awarded")
        results = await laurels.batch(
            [Action("lesson", "l1", user=User(id=ada)), Action("lesson", "l1", user=User(id=10**12))]
        )
        assert [result.status for result in results] == ["awarded", "refused"]
        with pytest.raises(ValueError, match="two batches"):
            await laurels.batch([Action("lesson"), Action("lesson", user=User(id=ada))])


async def test_a_ticket_is_fetched_and_spent_once(arena: InProcessNode) -> None:
    """A type that asks for one counts with it, one by one and in a batch, and not without or twice."""
    async with Laurels(arena.url, await arena.token("ada")) as laurels:
        first, second = await laurels.start("race"), await laurels.start("race")
        assert first.not_before <= first.expires_at
        assert first.challenge != second.challenge
        with pytest.raises(Refused, match="ticket_required"):
            await laurels.complete("race", "bare")
        assert (await laurels.complete("race", "r1", ticket=first.ticket)).score_earned == 30
        results = await laurels.batch([Action("race", f"b{n}", ticket=second.ticket) for n in range(2)])
        assert [result.code or result.status for result in results] == ["awarded", "ticket_used"]
        with pytest.raises(Refused, match="ticket_not_needed"):
            await laurels.start("lesson")


async def test_a_thread_starts_and_completes_with_a_ticket(arena: InProcessNode) -> None:
    def play(laurels: BlockingLaurels) -> int:
        return laurels.complete("race", ticket=laurels.start("race").ticket).new_score

    with await asyncio.to_thread(BlockingLaurels, arena.url, await arena.token("ada")) as laurels:
        assert await asyncio.to_thread(play, laurels) == 30
        await asyncio.to_thread(laurels.close)


async def test_a_live_board_survives_its_connections(node: InProcessNode) -> None:
    """Cut again and again while people score: what is shown at the end is what the board says; nothing goes back."""
    tokens = [await node.token(f"runner{n}") for n in range(4)]
    seen: list[tuple[int, list[tuple[str, int]]]] = []
    async with LossyProxy(node.url) as way, Laurels(way.url) as laurels:

        async def watch() -> None:
            async for board in laurels.live("points", 3):
                seen.append((board.seq, [(row.username, row.score) for row in board.rows]))  # noqa: PERF401  as they come

        watching = asyncio.create_task(watch())
        for n in range(12):
            await node.complete(tokens[n % 4], f"a{n}")
            if n % 4 == 3:
                way.cut()
        wanted = [(row["username"], row["score"]) for row in (await node.get("/api/boards/points?limit=3"))[1]["rows"]]

        async def last() -> Any:
            return seen[-1][1] if seen else None

        await eventually(last, lambda rows: rows == wanted, within=20)
        watching.cancel()
    assert [seq for seq, _ in seen] == sorted(seq for seq, _ in seen)


async def test_an_unknown_board_is_refused(node: InProcessNode) -> None:
    async with Laurels(node.url) as laurels:
        with pytest.raises(Refused, match="board_unknown"):
            await anext(laurels.live("nowhere"))


async def test_a_no_is_final_and_says_why(node: InProcessNode) -> None:
    async with Laurels(node.url, await node.token("ada")) as laurels:
        with pytest.raises(Refused) as refused:
            await laurels.complete("nothing")
        assert (refused.value.status, refused.value.code) == (422, "action_type_unknown")
        assert refused.value.request_id
        with pytest.raises(Refused, match="token_missing"):
            async with Laurels(node.url) as anonymous:
                await anonymous.complete("lesson")


async def test_a_deadline_leaves_the_identifiers_to_ask_again() -> None:
    """No server answers: Unsettled after the deadline, with what may or may not have counted."""
    async with Laurels("http://127.0.0.1:1", "token", deadline=0.3) as laurels:
        with pytest.raises(Unsettled) as unsettled:
            await laurels.complete("lesson", "a1")
        assert unsettled.value.identifiers == ["a1"]


async def test_an_expired_token_is_asked_for_again(node: InProcessNode) -> None:
    """A token provider is called at first use and when the server says that the token has expired."""
    tokens = await node.register("ada")
    node.services.tokens.lifetime = -3_600
    expired = (await node.post("/api/auth/login", {"username": "ada", "password": "correct horse battery"}))[1]
    given_out = [tokens["access_token"], expired["access_token"]]

    async def provide() -> str:
        return given_out.pop()

    async with Laurels(node.url, provide) as laurels:
        assert (await laurels.complete("lesson")).new_score == 10
    assert given_out == []


async def test_tasks_share_one_renewal(node: InProcessNode) -> None:
    """However many calls find out together that the token has expired, a new one is asked for once."""
    good = await node.token("ada")
    node.services.tokens.lifetime = -3_600
    _, expired = await node.post("/api/auth/login", {"username": "ada", "password": PASSWORD})
    given_out: list[str] = []

    async def provide() -> str:
        await asyncio.sleep(0.01)
        given_out.append(good if given_out else expired["access_token"])
        return given_out[-1]

    async with Laurels(node.url, provide) as laurels:
        receipts = await asyncio.gather(*(laurels.complete("lesson", f"a{n}") for n in range(20)))
    assert sorted(receipt.new_score for receipt in receipts) == [10 * n for n in range(1, 21)]
    assert given_out == [expired["access_token"], good]


async def test_clients_of_many_users_share_connections(node: InProcessNode) -> None:
    """A session that was lent is used by each with its own token, and left open."""
    tokens = [await node.token() for _ in range(3)]
    async with aiohttp.ClientSession() as session:
        for token in tokens:
            async with Laurels(node.url, token, session=session) as laurels:
                assert (await laurels.complete("lesson")).new_score == 10
        assert not session.closed


async def test_threads_share_one_blocking_client(node: InProcessNode) -> None:
    """Flask and its like: many threads, one client, each action once."""
    token = await node.token("ada")

    def work(laurels: BlockingLaurels) -> None:
        threads = [threading.Thread(target=laurels.complete, args=("lesson", f"t{n}")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert laurels.top().rows[0].score == 80

    with await asyncio.to_thread(BlockingLaurels, node.url, token) as laurels:
        await asyncio.to_thread(work, laurels)
        await asyncio.to_thread(laurels.close)


@given(
    st.floats(0, 100), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 60)), max_size=30)
)
def test_waits_are_bounded_below_by_the_server_and_above_by_the_deadline(
    deadline: float, answers: list[tuple[float, float | None]]
) -> None:
    """A wait is at least Retry-After, at most the ceiling more; none leads beyond the deadline."""
    now, drawn = 0.0, iter([draw for draw, _ in answers])
    patience = Patience(deadline, lambda: next(drawn))
    for tries, (_, told) in enumerate(answers):
        wait = patience.wait(now, told)
        if wait is None:
            assert now + (told or 0) + min(LAST_WAIT, FIRST_WAIT * 2**tries) >= deadline
            return
        assert (told or 0) <= wait <= (told or 0) + min(LAST_WAIT, FIRST_WAIT * 2**tries)
        now += wait
        assert now < deadline


@pytest.mark.parametrize("client", [Laurels, BlockingLaurels])
def test_an_address_without_its_scheme_is_refused_at_once(client: type[Laurels | BlockingLaurels]) -> None:
    for url in (
        "127.0.0.1:8000",
        "localhost:8000",
        "laurels.example",
        "ftp://laurels.example",
        "https://",
        "http://[",
        "",
    ):
        with pytest.raises(ValueError, match="address"):
            client(url)
    for url in ("http://127.0.0.1:8000/", "https://laurels.example/below", "HTTP://[::1]:8000"):
        client(url)


async def test_a_key_without_a_user_is_told_how_to_name_one(node: InProcessNode, api_key: str) -> None:
    """The server only knows that its path takes no key; the client knows what was left out."""
    async with Laurels(node.url, api_key) as laurels:
        for call in (laurels.complete("lesson"), laurels.batch([Action("lesson")])):
            with pytest.raises(Refused, match=r"user=User\(username=") as refusal:
                await call
            assert refusal.value.code == "forbidden"
