"""A process of its own that waits just before something gets its final name.

Python tells its audit hooks of a rename before it is done: nothing of the code is replaced.
"""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from include.errors import PortraitError

PATIENCE_S = 60


class Paused:
    """``call(*args)`` in another process, begun, and held before it renames to ``target``."""

    def __init__(self, target: Path | None, call: Callable[..., object], *args: object) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_run, args=(theirs, target, call, args))
        self.process.start()
        theirs.close()
        self._told()

    def about_to_rename(self) -> Path:
        """Wait until it is held; what it is about to rename."""
        return Path(self._told())

    def go_on(self) -> Any:
        """Let it; what the call returned, or the error of ours that it raised."""
        self.pipe.send("go on")
        return self._told()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.join()

    def _told(self) -> Any:
        assert self.pipe.poll(PATIENCE_S), f"nothing heard within {PATIENCE_S} s"
        return self.pipe.recv()


@contextmanager
def paused(target: Path | None, call: Callable[..., object], *args: object) -> Iterator[Paused]:
    """Start such a process, held nowhere without a target; it has ended at the end."""
    process = Paused(target, call, *args)
    try:
        yield process
    finally:
        process.kill()


def _run(
    pipe: Connection, target: Path | None, call: Callable[..., object], args: tuple[object, ...]
) -> None:
    def hold(event: str, places: tuple[Any, ...]) -> None:
        if event == "os.rename" and Path(places[1]) == target:
            pipe.send(str(places[0]))
            pipe.recv()

    sys.addaudithook(hold)
    pipe.send("begun")
    try:
        pipe.send(call(*args))
    except PortraitError as error:
        pipe.send(error)
