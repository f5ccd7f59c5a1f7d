"""The error that ends a start, and exception groups reduced to the errors inside them.

Apart from `runtime`, so that commands can name the error without importing the parts of a node.
"""

from __future__ import annotations


class StartError(Exception):
    """The node can't start; the message is the line that the operator sees."""


def flatten(error: BaseException) -> list[BaseException]:
    """Return the exceptions inside a group, however deeply it nests; any other exception as the only item.

    Catch a group with `except BaseExceptionGroup` and flatten it. Do not raise from an `except*` block:
    Python before 3.11.4 wraps what is raised there in another group.
    """
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in flatten(inner)]
