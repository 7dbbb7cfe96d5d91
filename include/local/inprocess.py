"""``make run``: the same DAGs in order in this process, without scheduler and UI; so do
``make reconcile``, ``make replay`` and ``make rollback``.

They keep their runs in a metadata database of their own: a scheduler that runs beside would take
the tasks of these runs for its own. What the tasks say goes to ``log/run.log``.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from include import clock, connections, domains, sources
from include.errors import ConfigError, InputError, PortraitError, QualityError
from include.local import airflow, notes, postgres, state

STAGES = {
    "run": ("ingest", "profile", "train", "publish"),
    "reconcile": ("reconcile",),
    "replay": ("replay",),
    "rollback": ("rollback", "champion"),  # of BI; with MODEL, of a model
}
"""Command -> its stages: one DAG, or one a source."""
BY_SOURCE = {"ingest", "reconcile"}
GUARDS = ("keep", "publish")


@dataclass(frozen=True)
class Order:
    """What is to be run."""

    as_of: str | None
    sources: str
    stages: tuple[str, ...]
    guard: str = "keep"  # what to do when counts jump
    form: dict[str, Any] = field(default_factory=dict)  # what a form is filled with

    @classmethod
    def read(cls, environment: dict[str, str], command: str = "run") -> "Order":
        """Read AS_OF, SOURCES and ONLY, once the connections are in the environment.

        Raises
        ------
        InputError
            If one of them cannot be used.
        """
        only, as_of = environment.get("ONLY", ""), environment.get("AS_OF") or None
        stages = STAGES[command]
        if only and only not in stages:
            raise InputError(f"ONLY={only}: must be one of {', '.join(stages)}; give one or none")
        stages = (only,) if only else stages
        form: dict[str, Any] = {}
        if command == "rollback":
            stages, form = _back(environment)
        zone = domains.load().time_zone
        clock.as_of(datetime.now(UTC), given=as_of, newest_order=None, time_zone=zone)
        wanted = environment.get("SOURCES") or environment.get("PORTRAIT_SOURCES") or ""
        chosen = sources.chosen(wanted)
        if not chosen and stages[0] in {*BY_SOURCE, "replay"}:
            known = ", ".join(sources.names())
            raise InputError(
                f"{command}: no source is on; set AIRFLOW_CONN_ of one ({known}), or make a shop "
                "with `make demo`"
            )
        guard = environment.get("GUARD") or "keep"
        if guard not in GUARDS:
            raise InputError(f"GUARD={guard}: must be {' or '.join(GUARDS)}; give one or none")
        return cls(as_of, " ".join(chosen), stages, guard, form)


def _back(environment: dict[str, str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What goes back: the model of MODEL, to VERSION; or BI, to GENERATION."""
    generation = environment.get("GENERATION") or None
    if model := environment.get("MODEL"):
        return ("champion",), {"model": model, "version": environment.get("VERSION") or None}
    if generation and not generation.isdecimal():
        raise InputError(f"GENERATION={generation}: must be a number; `ops.generation` has them")
    return ("rollback",), {"generation": int(generation) if generation else None}


@dataclass
class Result:
    """What became of one DAG; ``errors`` are those of its tasks, first to last."""

    dag_id: str
    run_id: str = ""
    state: str = "running"
    tasks: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)
    failure: PortraitError | None = None


def run(home: Path, console: Console, command: str = "run") -> None:
    """Run what a command of ``STAGES``, AS_OF, SOURCES and ONLY ask for.

    Raises
    ------
    PortraitError
        If a DAG failed, or if a guard kept the old generation; the message names the next step.
    """
    given = dict(os.environ)
    embedded = airflow.needs_embedded()
    _enter(home, given)
    order = Order.read(dict(os.environ), command)
    with _alone(home, command):
        if embedded or (home / "run" / "demo.json").exists():
            postgres.start(home)
            _enter(home, given)  # its port may have moved
        os.environ["PORTRAIT_SOURCES"] = order.sources
        airflow.migrate(home, os.environ)
        results = _run_all(home, order, console)
    failures = [result.failure for result in results if result.failure]
    for note in _counts(results) + ([] if failures else _notes(order)):
        console.print(note, soft_wrap=True, highlight=False, markup=False)
    if failures:
        raise failures[0]


def _notes(order: Order) -> list[str]:
    with connections.connect("warehouse") as db:
        on_sources = notes.on_sources(db, order.sources.split()) if "ingest" in order.stages else []
        return on_sources + (notes.on_models(db) if "publish" in order.stages else [])


def _counts(results: list[Result]) -> list[str]:
    """What the reconciliations and replays that ended well did, one line a table."""
    run_ids = [result.run_id for result in results if result.failure is None]
    if not run_ids:
        return []
    with connections.connect("warehouse") as db:
        rows = db.execute(
            """SELECT CASE kind WHEN 'reconcile' THEN format(
                          '%%s.%%s: %%s key ranges compared, %%s read again, %%s rows repaired',
                          source, entity, ranges, ranges_differing,
                          rows_inserted + rows_updated + rows_deleted)
                      ELSE format('%%s.%%s: %%s re-checked, %%s landed, %%s still set aside',
                          source, entity, rows_in, rows_inserted + rows_updated, rows_quarantined)
                      END
               FROM ops.load WHERE run_id = ANY(%s) AND kind IN ('reconcile', 'replay')
               ORDER BY source, entity""",
            [run_ids],
        ).fetchall()
    if not rows and any(run_id.startswith("replay/") for run_id in run_ids):
        return ["nothing is set aside that could land"]
    return [said for (said,) in rows]


def _enter(home: Path, given: dict[str, str]) -> None:
    """Set the environment of Airflow and the library, afresh from what was given."""
    os.environ.clear()
    os.environ.update(given)
    os.environ.update(airflow.environment(home, metadata="airflow_run"))


@contextlib.contextmanager
def _alone(home: Path, command: str) -> Iterator[None]:
    """Refuse a second run of the same checkout: both would write the same generation."""
    with (state.folder(home, "run") / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            others = ", ".join(f"`make {name}`" for name in STAGES)
            raise InputError(
                f"{command}: another of {others} is at work here; wait for its end"
            ) from error
        yield


def _run_all(home: Path, order: Order, console: Console) -> list[Result]:
    """Run stage by stage; a stage without one success ends the flow, but for training."""
    results: list[Result] = []
    log_file = state.folder(home, "log") / "run.log"
    with _said_to(log_file):
        dags = _dags()
    for stage in order.stages:
        names = [f"{stage}_{name}" for name in order.sources.split()]
        stage_dags = names if stage in BY_SOURCE else [stage]
        for dag_id in stage_dags:
            began, moment = time.monotonic(), datetime.now(UTC)
            with _said_to(log_file):
                result = _test(dags, dag_id, order)
            seconds = time.monotonic() - began
            console.print(f"{dag_id:<16} {result.state:<8} {result.tasks:>3} tasks {seconds:.1f} s")
            if result.state != "success":
                result.failure = _failure(result, log_file)
            elif dag_id == "publish":
                result.failure = _kept(moment)
            results.append(result)
        failed = all(result.failure for result in results[-len(stage_dags) :])
        if failed and stage != "train":
            break
    return results


def _dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    sys.path.insert(0, folder)  # as Airflow's own processes do
    bag = DagBag(dag_folder=folder)
    for path, reason in bag.import_errors.items():
        raise ConfigError(f"{path}: {reason.strip().splitlines()[-1]}; mend it, then run again")
    return dict(bag.dags)


def _test(dags: dict[str, Any], dag_id: str, order: Order) -> Result:
    if dag_id not in dags:
        raise ConfigError(f"run: no DAG {dag_id} in {os.environ['AIRFLOW__CORE__DAGS_FOLDER']}")
    dag, result = dags[dag_id], Result(dag_id)

    def remember(context: Any) -> None:
        error = context.get("exception")
        said = " ".join(str(error).split())
        kind = "" if isinstance(error, PortraitError) else f"{type(error).__name__}: "
        result.errors.append((context["ti"].task_id, kind + said))

    for task in dag.tasks:
        task.on_failure_callback = [*(task.on_failure_callback or []), remember]
        task.retry_delay = timedelta(seconds=1)
    conf: dict[str, Any] = {"as_of": order.as_of} if order.as_of and "as_of" in dag.params else {}
    conf |= order.form
    if "guard" in dag.params:  # nobody is there to be asked
        conf["guard"] = order.guard
    outcome = dag.test(run_conf=conf)
    instances = outcome.get_task_instances()
    result.state, result.tasks = str(outcome.state), len(instances)
    result.run_id = f"{dag_id}/{outcome.run_id}"  # as the ledger calls it
    return result


def _failure(result: Result, log_file: Path) -> PortraitError:
    task, reason = result.errors[0] if result.errors else ("?", "failed and said nothing")
    return PortraitError(f"{result.dag_id}.{task}: {reason} (all of it is in {log_file})")


def _kept(since: datetime) -> QualityError | None:
    """Return why the publish of this run left BI on the old generation, if it did."""
    with connections.connect("warehouse") as db:
        row = db.execute(
            """SELECT published, message FROM ops.pipeline_run
               WHERE dag = 'publish' AND started_at >= %s ORDER BY started_at DESC LIMIT 1""",
            [since],
        ).fetchone()
    if row is None or row[0]:
        return None
    return QualityError(f"publish: the old generation stays: {row[1] or 'see bi.quality_result'}")


@contextlib.contextmanager
def _said_to(log_file: Path) -> Iterator[None]:
    """Send what this process and its children print to ``log_file``, as long as it lasts."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with log_file.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
