"""Run Lua scripts in Redis: several in one round trip, each loaded when Redis does not have it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from ...redis_store.store import Client

LAYOUT = "2"
"""Layout of the keys; a copy in another layout is rebuilt."""


class IndexGone(Exception):
    """The window is not in this Redis as it was built: it must be rebuilt."""


class Script:
    """One of lua/*.lua. `writes`: it changes keys; `alone`: it runs without window.lua before it."""

    def __init__(self, name: str, *, writes: bool = False, alone: bool = False) -> None:
        folder = files(__package__) / "lua"
        head = "" if alone else (folder / "window.lua").read_text()
        flags = "" if writes else " flags=no-writes"
        self.text = f"#!lua{flags}\nlocal LAYOUT = '{LAYOUT}'\n{head}{(folder / f'{name}.lua').read_text()}"
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Client, keys: Sequence[str], *arguments: bytes | str | int) -> Any:
        """Return the script's reply. Raises IndexGone."""
        (reply,) = await run_all(client, [(self, keys, arguments)])
        if isinstance(reply, IndexGone):
            raise reply
        return reply


Run = tuple[Script, Sequence[str], Sequence[bytes | str | int]]


async def run_all(client: Client, runs: Sequence[Run]) -> list[Any]:
    """Return the replies of several scripts in one round trip, with IndexGone in place of a reply."""
    replies = await _send(client, runs)
    if any(isinstance(reply, NoScriptError) for reply in replies):
        for text in {script.text for script, _, _ in runs}:
            await client.script_load(text)
        replies = await _send(client, runs)
    return [_checked(reply) for reply in replies]


async def _send(client: Client, runs: Sequence[Run]) -> list[Any]:
    if len(runs) == 1:
        script, keys, arguments = runs[0]
        try:
            return [await client.evalsha(script.sha, len(keys), *keys, *arguments)]
        except ResponseError as error:
            return [error]
    pipeline = client.pipeline(transaction=False)
    for script, keys, arguments in runs:
        pipeline.evalsha(script.sha, len(keys), *keys, *arguments)
    return await pipeline.execute(raise_on_error=False)


def _checked(reply: Any) -> Any:
    if isinstance(reply, ResponseError) and str(reply).startswith("GONE"):
        return IndexGone("the index of a window is not as it was built")
    if isinstance(reply, Exception):
        raise reply
    return reply
