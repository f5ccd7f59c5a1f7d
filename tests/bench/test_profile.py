"""Attribution of samples: the innermost known frame decides, and waiting is left out."""

from __future__ import annotations

from bench.profile import LOOP, attribute


def test_the_innermost_known_frame_decides() -> None:
    edge = "run (asyncio/runners.py:118);handle (laurels/web/pipeline/endpoint.py:101)"
    stacks = [
        f"{edge};loads (laurels/web/http/decode.py:9);scan (json.c) 3",
        f"{edge} 2",
        "run (asyncio/runners.py:118);_on_idle (loop.c:12) 1",
    ]
    assert attribute(stacks) == {"decode": 3, "HTTP": 2, LOOP: 1}


def test_waiting_is_left_out() -> None:
    pool = "_worker (concurrent/futures/thread.py:83)"
    stacks = [
        "run (asyncio/runners.py:118);uv_run (core.c:4);epoll_pwait (libc.so.6) 9",
        "_worker (concurrent/futures/thread.py:81);0x7f4f (libc.so.6) 7",
        f"{pool};run (concurrent/futures/thread.py:58);x (laurels/web/auth/access_tokens.py:1) 1",
    ]
    assert attribute(stacks) == {"token": 1}
