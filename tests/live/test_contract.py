"""The published contract and the node are one: the document is the code's, and what a node says validates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
from tests.live.screens import open_screen
from tests.support.node import InProcessNode

from laurels.live import protocol
from laurels.web.api import asyncapi

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = asyncapi.build()


def test_the_published_document_is_what_the_code_makes() -> None:
    """python -m laurels.web.api.asyncapi > docs/asyncapi.json"""
    assert (DOCS / "asyncapi.json").read_bytes() == asyncapi.document()


async def test_a_node_serves_it(node: InProcessNode) -> None:
    assert (await node.get("/api/asyncapi.json"))[1] == json.loads(asyncapi.document())


def test_every_frame_and_close_code_is_in_the_words() -> None:
    words = (DOCS / "protocol.md").read_text()
    for kind in DOCUMENT["components"]["messages"]:
        assert f"### `{kind}`" in words, kind
    for code in protocol.Close:
        assert re.search(rf"\b{int(code)}\b", words), code


def test_the_examples_in_the_words_validate() -> None:
    """Every JSON example of docs/protocol.md, by the schema of its type."""
    examples = re.findall(r"```json\n(.*?)```", (DOCS / "protocol.md").read_text(), re.DOTALL)
    assert len(examples) >= 20
    for example in examples:
        frame = json.loads(example)
        check(frame, frame["type"])


def check(frame: dict, kind: str) -> None:
    reference = DOCUMENT["components"]["messages"][kind]["payload"]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **reference,
        "components": DOCUMENT["components"],
    }
    validator = jsonschema_rs.validator_for(schema)
    problems = [error.message for error in validator.iter_errors(frame)]
    assert not problems, (frame, problems)


async def test_what_a_node_says_validates(node: InProcessNode) -> None:
    """One socket that makes it say nearly everything it can."""
    ada, grace = await node.token("ada"), await node.token("grace")
    async with open_screen(node) as screen:
        await screen.ask("authenticate", token=ada)
        for channel in ("me", "board:points", "activity:points"):
            await screen.subscribe(channel)
        await screen.subscribe("board:nowhere")
        await screen.say("complete", action={"action_type": "lesson", "action_identifier": "a"})
        await screen.say("complete", action={"action_type": "none", "action_identifier": "b"})
        await screen.ask("ping")
        for n in range(12):
            await node.complete(grace, f"g-{n}")
        while not {"activity", "delta", "result", "me"} <= {frame["type"] for frame in screen.frames}:
            await screen.next_frame()
        await screen.ask("unsubscribe", channel="me")
        node.stop.set()
        assert await screen.close_code() == 4000
    said = {frame["type"] for frame in screen.frames}
    assert said >= {"hello", "authenticated", "subscribed", "board", "delta", "me", "activity", "result", "error"}
    assert said >= {"pong", "unsubscribed", "drain"}
    for frame in screen.frames:
        check(frame, frame["type"])
