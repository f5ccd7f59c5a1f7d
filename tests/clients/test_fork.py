"""BlockingLaurels in servers that fork: every process has a thread of its own, and every wait ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.node import InProcessNode
from tests.support.ports import free_port
from tests.support.programs import PATIENCE, output

from laurels_client import BlockingLaurels, Unsettled

FORK = """
import os, sys
from laurels_client import BlockingLaurels
url, token = sys.argv[1:]
laurels = BlockingLaurels(url, token)
laurels.complete("lesson", "parent-1")  # the thread runs, and its connection is open
for n in range(3):
    child = os.fork()
    if not child:
        laurels.complete("lesson", f"child-{n}")
        laurels.complete("lesson", f"child-{n}-again")
        if n == 1:
            laurels.close()
        sys.exit(0)  # with all that runs at the end of an interpreter
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    laurels.complete("lesson", f"parent-after-{n}")
laurels.close()
"""

BUSY_FORK = """
import multiprocessing, sys, threading
from laurels_client import BlockingLaurels
url, token = sys.argv[1:]
laurels = BlockingLaurels(url, token)

def work(name):
    for n in range(10):
        laurels.complete("lesson", f"{name}-{n}")

if __name__ == "__main__":
    threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=work, args=(f"process-{n}",)) for n in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0, child.exitcode
    for thread in threads:
        thread.join()
"""

APPLICATION = """
import os
from laurels_client import BlockingLaurels

laurels = BlockingLaurels(os.environ["LAURELS_URL"], os.environ["LAURELS_TOKEN"])
laurels.top()  # in the master, before it forks

def application(environ, start_response):
    receipt = laurels.complete("lesson", environ["PATH_INFO"].strip("/"), deadline=60)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {receipt.score_earned}".encode()]
"""


async def test_a_forked_process_has_a_thread_of_its_own(node: InProcessNode) -> None:
    """And the parent's connections stay as they are, also when the child ends in order."""
    token = await node.token("ada")
    assert await output(sys.executable, "-X", "dev", "-c", FORK, node.url, token) == ""
    assert (await node.get("/api/boards/points/rank/ada"))[1]["score"] == 100


async def test_a_fork_while_other_threads_are_at_work(node: InProcessNode, tmp_path: Path) -> None:
    """multiprocessing forks at a moment when locks are held and replies are in flight."""
    script = tmp_path / "busy.py"
    script.write_text(BUSY_FORK)
    await output(sys.executable, str(script), node.url, await node.token("ada"))
    assert (await node.get("/api/boards/points/rank/ada"))[1]["score"] == 700


async def test_gunicorn_may_load_the_client_before_it_forks(node: InProcessNode, tmp_path: Path) -> None:
    """`--preload`: the client is made and used in the master, then used by each worker."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    port, token = free_port(), await node.token("ada")
    log = tmp_path / "gunicorn.log"
    server = gunicorn(tmp_path, port, log, LAURELS_URL=node.url, LAURELS_TOKEN=token)
    try:
        replies = await asyncio.to_thread(ask_until_both_answer, port, server, log)
    finally:
        server.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait, PATIENCE)
    assert {earned for _, earned in replies} == {"10"}
    assert (await node.get("/api/boards/points/rank/ada"))[1]["score"] == 10 * len(replies)
    assert server.returncode == 0, log.read_text()
    assert "Unclosed" not in log.read_text()
    assert "Traceback" not in log.read_text()


def gunicorn(folder: Path, port: int, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    options = ["--preload", "--workers", "2", "--threads", "2", "--no-control-socket", "--bind", f"127.0.0.1:{port}"]
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "shop:application"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PYTHONDEVMODE": "1", **environment},
            stdout=stream,
            stderr=stream,
        )


def ask_until_both_answer(port: int, server: subprocess.Popen[bytes], log: Path) -> list[tuple[str, str]]:
    """(worker, points) of each request, until two workers have answered several."""
    replies: list[tuple[str, str]] = []
    deadline = time.monotonic() + PATIENCE
    while len({worker for worker, _ in replies}) < 2 or len(replies) < 10:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/a{len(replies)}", timeout=PATIENCE) as reply:
                worker, earned = reply.read().decode().split()
                replies.append((worker, earned))
        except urllib.error.HTTPError as failed:
            raise AssertionError(log.read_text()) from failed
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    return replies


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_silent_server_costs_the_deadline_and_no_more(silent: str) -> None:
    with BlockingLaurels(silent, "token", deadline=0.3) as laurels:
        with pytest.raises(Unsettled) as unsettled:
            laurels.complete("lesson", "a1")
        assert unsettled.value.identifiers == ["a1"]
        with pytest.raises(Unsettled):
            laurels.top()


def test_a_token_that_never_comes_costs_the_deadline_and_no_more(silent: str) -> None:
    """Whether the function that gives it waits on the loop or blocks it: callers in all threads get its error."""
    never = threading.Event()

    async def waits() -> str:
        await asyncio.Event().wait()
        return ""

    def blocks() -> str:
        never.wait(PATIENCE)
        return ""

    for provider in (waits, blocks):
        laurels = BlockingLaurels(silent, provider, deadline=0.2)
        for _ in range(2):
            with pytest.raises(Unsettled) as unsettled:
                laurels.complete("lesson", "a1")
            assert unsettled.value.identifiers == ["a1"]
        never.set()
        laurels.close()


def test_a_closed_client_says_so(silent: str) -> None:
    laurels = BlockingLaurels(silent, "token")
    laurels.close()
    laurels.close()
    with pytest.raises(RuntimeError, match="closed"):
        laurels.top()


def test_a_client_that_was_never_closed_leaves_no_thread(silent: str) -> None:
    def use() -> bool:
        laurels = BlockingLaurels(silent, "token", deadline=0.05)
        with contextlib.suppress(Unsettled):
            laurels.top()
        return set(threading.enumerate()) > before

    before = set(threading.enumerate())
    assert use()
    gc.collect()  # the frames of the exception
    assert set(threading.enumerate()) <= before
