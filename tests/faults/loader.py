"""One load in a process of its own, called as the DAG's task calls it: something to kill.

It is forked from a server that has the libraries imported, so that a test can afford many.
"""

import logging
import multiprocessing
import os
from collections.abc import Mapping
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

PRELOADED = ["include.landing", "include.ledger", "sqlglot", "pymysql", "tests.faults.loader"]
TASK = ["include.landing.readers.postgres", "include.landing.readers.mysql"]


def start(
    arguments: list[str], env: Mapping[str, str], log: Path
) -> tuple[multiprocessing.Process, Connection]:
    """Start ``main``; what it says comes through the connection, its output goes to ``log``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED + TASK)
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(arguments, dict(env), str(log), theirs))
    process.start()
    theirs.close()
    return process, ours


def run(arguments: list[str], env: dict[str, str], log: str, told: Connection) -> None:
    """Take over the environment and the log, then load; an error of ours is one line."""
    from include.errors import PortraitError

    os.environ.clear()
    os.environ.update(env)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    try:
        main(told, *arguments)
    except PortraitError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error


def main(told: Connection, folder: str, name: str, entity: str, run_id: str, *days: str) -> None:
    """Load, or with two days backfill; says "loading" and "loaded", then waits to be let go."""
    from include import landing, ledger, sources

    source = sources.load(name, Path(folder))
    told.send("loading")
    with ledger.step(run_id) as db:
        if days:
            since, until = map(date.fromisoformat, days)
            landing.backfill(source, entity, db, run_id=run_id, since=since, until=until)
        else:
            landing.load(source, entity, db, run_id=run_id)
    told.send("loaded")
    told.poll(None)
