"""A lock on a folder: `flock` on a file in it. It ends with its holder, however that process dies."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

POLL = 0.02


class FolderLock:
    """An exclusive or shared lock. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def acquire(self, *, shared: bool = False, wait: float = 0.0) -> bool:
        """Acquire it, or turn a shared lock into an exclusive one. Return False when others hold it for `wait` seconds.

        A shared lock that could not be turned is lost: the kernel has no atomic way back.
        """
        file = self._file or self._path.open("a")
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.close()
                    self._file = None
                    return False
                time.sleep(POLL)
            else:
                self._file = file
                return True

    def release(self) -> None:
        """Release it. Does nothing when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
