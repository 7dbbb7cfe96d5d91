"""What the make commands do; each reads its arguments from the environment."""

import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable

from rich.console import Console

from include.errors import InputError, PortraitError
from include.local import airflow, demo, doctor, inprocess, portrait, postgres, state

GENERATED = re.compile(r"^(?P<name>[A-Za-z_][A-Za-z0-9_]*)=\s*# generated\b.*$")


def run_demo() -> None:
    """From nothing to results in a running Airflow."""
    demo.demo(state.home(), Console())


def run() -> None:
    """Run the DAGs in order in one process."""
    inprocess.run(state.home(), Console())


def reconcile() -> None:
    """Compare each source with what has landed, and mend what differs."""
    inprocess.run(state.home(), Console(), "reconcile")


def replay() -> None:
    """Check again what was set aside, and land what keeps the rules now."""
    inprocess.run(state.home(), Console(), "replay")


def rollback() -> None:
    """Point BI at an earlier generation, or use an earlier version of the model MODEL."""
    inprocess.run(state.home(), Console(), "rollback")


def match() -> None:
    """Find out which records of some files are one person."""
    from include.local import match as outside  # splink takes a second to load

    outside.match()


def draw() -> None:
    """Print all that is known of one customer."""
    portrait.portrait(state.home(), Console())


def dsn() -> None:
    """Print the URL of a database, one line; start the embedded server if it is that one's."""
    role = os.environ.get("ROLE") or "owner"
    database = os.environ.get("DB") or "warehouse"
    reader = postgres.reader()
    if role not in {"owner", reader}:
        raise InputError(f"ROLE={role}: must be {reader} or owner; give one or none")
    if database not in {"warehouse", "shop"}:
        raise InputError(f"DB={database}: must be warehouse or shop; give one or none")
    if database == "shop" and role == reader:
        raise InputError(f"ROLE={reader}: reads the warehouse only; use ROLE=owner with DB=shop")
    variable = f"AIRFLOW_CONN_{database.upper()}"
    if os.environ.get(variable):
        print(_of_the_user(database, role))
        return
    server = postgres.start(state.home())
    print(server.url(database, postgres.OWNER if role == "owner" else role))


def _of_the_user(database: str, role: str) -> str:
    """Return the URL of a connection that the environment sets, without a password for a reader."""
    from include import connections

    url = connections.address(database).url
    if role == "owner":
        return url
    return re.sub(r"//[^@]*@", f"//{role}@", url, count=1)  # libpq looks it up in ~/.pgpass


def stop() -> None:
    """End what was started from this checkout."""
    from include.local import bi

    home = state.home()
    ended = airflow.stop(home)
    if bi.stop(home):
        ended.append("Superset")
    if postgres.stop(home):
        ended.append("PostgreSQL")
    print(f"ended {', '.join(ended)}" if ended else "nothing of this checkout was running")


def clean() -> None:
    """End everything, then remove its state: databases, passwords, logs."""
    home = state.home()
    stop()
    postgres.remove(home)
    if home.exists():
        shutil.rmtree(home)
    print(f"removed {home}")


def diagnose() -> None:
    """Print what is in order and what is not."""
    failed = doctor.doctor(state.home(), Console())
    if failed:
        raise PortraitError(f"doctor: {failed} of the checks above need a hand")


def bench() -> None:
    """Run the benchmarks of bench/, or the one named by ONLY."""
    folder = state.ROOT / "bench"
    known = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    only = os.environ.get("ONLY")
    if only and only not in known:
        raise InputError(f"ONLY={only}: no such benchmark; known: {', '.join(known) or 'none yet'}")
    env = {**os.environ, "PYTHONPATH": str(state.ROOT)}
    for name in [only] if only else known:
        done = subprocess.run([sys.executable, folder / f"{name}.py"], env=env, check=False)
        if done.returncode:
            raise PortraitError(f"bench/{name}.py ended with {done.returncode}; see what it said")


def init() -> None:
    """Write .env from .env.example, with random secrets in the lines marked ``# generated``."""
    example, target = state.ROOT / ".env.example", state.ROOT / ".env"
    if target.exists():
        raise InputError(f"init: {target} is there already; move it away to make a new one")
    if not example.exists():
        raise InputError(f"init: {example} is missing; restore it from the repository")
    state.write_private(target, filled(example.read_text()))
    print(f"wrote {target}; only you can read it")


def filled(example: str) -> str:
    """Return the text with a random value in each line ``NAME=  # generated``.

    ``# generated`` may also stand alone on the line before. A name with FERNET in it gets a
    Fernet key: 32 bytes in URL-safe base 64.
    """
    lines = example.splitlines(keepends=True)
    before = ["", *lines[:-1]]
    return "".join(map(_filled_line, lines, before))


def _filled_line(line: str, before: str) -> str:
    mark = "  # generated" if before.strip() == "# generated" else ""
    found = GENERATED.match(line.rstrip("\n") + mark)
    if not found:
        return line
    name = found["name"]
    value = airflow.fernet_key() if "FERNET" in name.upper() else secrets.token_hex(24)
    return f"{name}={value}\n"


def judge_table() -> None:
    """Judge the algorithms on an outside table."""
    from include.local import score_table

    score_table.score_table()


def value_file() -> None:
    """Fit customer value on a file of purchases."""
    from include.local import clv  # scipy takes a second to load

    clv.clv()


def judge_recommenders() -> None:
    """Judge the recommenders on outside purchases."""
    from include.local import evaluate_recommender  # numba takes a second to load

    evaluate_recommender.evaluate_recommender()


def take_out() -> None:
    """Write the customers of an audience into a file."""
    from include.local import audience as lists

    lists.audience(state.home(), Console())


def show_dashboard() -> None:
    """Start Superset with the dashboard on the warehouse."""
    from include.local import bi

    bi.bi(state.home(), Console())


COMMANDS: dict[str, Callable[[], None]] = {
    "demo": run_demo,
    "run": run,
    "reconcile": reconcile,
    "replay": replay,
    "rollback": rollback,
    "portrait": draw,
    "match": match,
    "score-table": judge_table,
    "clv": value_file,
    "evaluate-recommender": judge_recommenders,
    "audience": take_out,
    "bi": show_dashboard,
    "dsn": dsn,
    "stop": stop,
    "clean": clean,
    "doctor": diagnose,
    "bench": bench,
    "init": init,
}


def main(arguments: list[str]) -> int:
    """Run one command; an error raised on purpose becomes one line and exit status 1."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: python -m include.local {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("include.local").setLevel(logging.INFO)
    try:
        COMMANDS[arguments[0]]()
    except PortraitError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make stop` ends what was started", file=sys.stderr)
        return 130
    return 0
