"""``make run`` in a process of its own, without paying for its imports each time.

A fork server holds the libraries that every run imports (Airflow, scikit-learn and the like, none
of ours); each command is a fork of it that calls what ``python -m include.local run`` calls.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[2]
PATIENCE_S = 500
METADATA = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
ARGUMENTS = {"AS_OF", "GUARD", "SOURCES", "ONLY", "ROLE", "DB", "CUSTOMERS", "DATA", "DAYS"}


def clean_environment() -> dict[str, str]:
    """What surrounds this process, without anything that speaks to Airflow or to us."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "PORTRAIT_")) and name not in ARGUMENTS
    }


def warm_up(settings: Mapping[str, str]) -> None:
    """Start the fork server; its imports go on while other things are made ready.

    ``settings`` are Airflow's, the metadata database among them.
    """
    told = clean_environment() | settings | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    forkserver._forkserver._stop()  # that of other tests has other settings, once and for all
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.flow.warm"])
    with mock.patch.dict(os.environ, told, clear=True):
        forkserver.ensure_running()


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on stderr; fails where there are more, or a traceback anywhere."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, f"not one line on stderr, but: {self.err}"
        assert "Traceback" not in self.out + self.err
        return lines[0]


class Command:
    """``make run`` under way, in the checkout ``tree``."""

    def __init__(self, home: Path, *, tree: Path = ROOT, **settings: str) -> None:
        env = clean_environment() | {"PORTRAIT_HOME": str(home)} | settings
        self.said = home / "said"
        self.said.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("forkserver")
        self.process = context.Process(target=_run, args=(env, str(self.said), str(tree)))
        self.process.start()

    def wait(self) -> Answer:
        """Wait for its end."""
        self.process.join(PATIENCE_S)
        assert self.process.exitcode is not None, f"still running after {PATIENCE_S} s"
        return Answer(
            self.process.exitcode,
            (self.said / "out").read_text(),
            (self.said / "err").read_text(),
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.join()


def _run(env: Mapping[str, str], said: str, tree: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(Path(said) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.chdir(tree)
    sys.path.insert(0, tree)
    _configure_airflow(tree)
    from include.local import commands

    sys.exit(commands.main(["run"]))


def _configure_airflow(tree: str) -> None:
    """Airflow, which the fork server imported, is to use what is set for this command."""
    from airflow import settings

    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = f"{tree}/dags"  # as the command itself will
    if METADATA in os.environ:
        settings.configure_vars()
        settings.configure_orm()
