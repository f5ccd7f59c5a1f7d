"""The AsyncAPI 3 document of the live protocol, made from the structs that decode and encode its frames.

python -m laurels.web.api.asyncapi > docs/asyncapi.json
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from ...live import protocol
from ..realtime.frames import SERVER_FRAMES, ClientFrame

_REF = "#/components/schemas/{name}"
CLIENT_FRAMES: tuple[type, ...] = get_args(ClientFrame)


def document() -> bytes:
    """Return the document as JSON."""
    return msgspec.json.format(msgspec.json.encode(build()), indent=1) + b"\n"


def build() -> dict[str, Any]:
    """Return the document."""
    _, schemas = msgspec.json.schema_components([*CLIENT_FRAMES, *SERVER_FRAMES], ref_template=_REF)
    messages = {_kind(frame): _message(frame) for frame in (*CLIENT_FRAMES, *SERVER_FRAMES)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Laurels live",
            "version": f"{protocol.VERSION}.0.0",
            "description": "Boards, own places, activity and actions over one WebSocket. In words: docs/protocol.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"node": {"host": "localhost:8000", "protocol": "ws"}},
        "channels": {"live": _channel(messages)},
        "operations": {
            "say": _operation("receive", CLIENT_FRAMES, "What a client may say"),
            "tell": _operation("send", SERVER_FRAMES, "What the server may tell"),
        },
        "components": {"schemas": {name: schemas[name] for name in sorted(schemas)}, "messages": messages},
        "x-close-codes": {str(int(code)): protocol.REASONS[code].decode() for code in protocol.Close},
    }


def _channel(messages: Iterable[str]) -> dict[str, Any]:
    return {
        "address": "/api/live",
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in messages},
        "bindings": {"ws": {"method": "GET"}},
    }


def _operation(action: str, frames: Iterable[type], summary: str) -> dict[str, Any]:
    references = [{"$ref": f"#/channels/live/messages/{_kind(frame)}"} for frame in frames]
    return {"action": action, "channel": {"$ref": "#/channels/live"}, "summary": summary, "messages": references}


def _message(frame: type) -> dict[str, Any]:
    kind = _kind(frame)
    return {"name": kind, "title": kind, "payload": {"$ref": _REF.format(name=frame.__name__)}}


def _kind(frame: Any) -> str:
    return str(frame.__struct_config__.tag)


if __name__ == "__main__":
    sys.stdout.write(document().decode())
