"""Hands each handler the contexts that it asks for, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import get_type_hints

from ..http.responses import Answer
from .call import Call, Handler


def bind(handler: Handler, contexts: Iterable[object]) -> Callable[[Call], Awaitable[Answer]]:
    """Return the handler with its leading parameters bound to the contexts of the annotated types.

    Raises LookupError for a type that is not among `contexts`: a mistake in the program, found at start.
    """
    by_type = {type(context): context for context in contexts}
    hints = get_type_hints(handler)
    hints.pop("return", None)
    wanted = list(hints.values())[:-1]
    missing = [kind.__name__ for kind in wanted if kind not in by_type]
    if missing:
        raise LookupError(f"{handler.__name__} asks for {', '.join(missing)}, which this node does not have")
    return partial(handler, *(by_type[kind] for kind in wanted)) if wanted else handler
