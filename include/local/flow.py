"""Follow DAG runs through Airflow's API: one line a run, and what went wrong in words."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from include.errors import PortraitError, ResourceError
from include.local.rest import Client, NotAnswering, Refused

FINISHED = {"success", "failed"}
DONE = {"success", "skipped"}
POLL_S = 1.0
SILENCE_S = 60.0


class RunFailed(PortraitError):
    """A DAG run failed, or waits for a person; the message names the task and its error."""


@dataclass
class Run:
    """A DAG run as it was last seen."""

    dag_id: str
    run_id: str
    state: str = "queued"
    done: int = 0
    tasks: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    waiting: list[str] = field(default_factory=list)  # tasks that ask a person

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        if self.started is None:
            return 0.0
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()

    @property
    def path(self) -> str:
        """Where it is found in the API."""
        return f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}"


@dataclass
class Flow:
    """The runs of one demo, in the order in which they were met."""

    client: Client
    console: Console = field(default_factory=Console)
    runs: list[Run] = field(default_factory=list)

    def ready(self, dag_ids: Iterable[str], *, patience_s: float = 120.0) -> None:
        """Wait until every DAG is known; a DAG file that cannot be read is raised as it is."""
        deadline = time.monotonic() + patience_s
        missing = set(dag_ids)
        while missing:
            found = _patiently(self.client, "/api/v2/dags", limit=100)["dags"]
            missing -= {dag["dag_id"] for dag in found}
            broken = _patiently(self.client, "/api/v2/importErrors")["import_errors"]
            if missing and broken:
                reason = broken[0]["stack_trace"].strip().splitlines()[-1]
                raise RunFailed(f"{broken[0]['filename']}: {reason}; mend it, then run again")
            if missing and time.monotonic() > deadline:
                raise ResourceError(
                    f"Airflow: no DAG {', '.join(sorted(missing))} after {patience_s:.0f} s; "
                    "look at log/dag-processor.log in the state folder"
                )
            time.sleep(0.3)

    @contextmanager
    def held(self, *dag_ids: str) -> Iterator[None]:
        """Keep DAGs paused for a while: asset events of that time start none of their runs."""
        try:
            for dag_id in dag_ids:
                self.client.patch(f"/api/v2/dags/{dag_id}", {"is_paused": True})
            yield
        finally:
            for dag_id in dag_ids:
                self.client.patch(f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        """Start a run by hand."""
        answer = self.client.post(
            f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf}
        )
        return self._met(dag_id, answer["dag_run_id"])

    def followers(self, causes: list[Run], dag_id: str, *, patience_s: float = 60.0) -> list[Run]:
        """Return the runs of ``dag_id`` that the asset events of each of ``causes`` started.

        Events queue for a moment, and one run may take several; after ``patience_s`` what has
        been found is all.
        """
        deadline = time.monotonic() + patience_s
        found: dict[str, set[str]] = {cause.run_id: set() for cause in causes}
        while not all(found.values()) and time.monotonic() < deadline:
            for cause in causes:
                found[cause.run_id] |= self._started_by(cause, dag_id)
            time.sleep(0.3)
        runs = dict.fromkeys(run for cause in causes for run in sorted(found[cause.run_id]))
        return [self._met(dag_id, run_id) for run_id in runs]

    def _started_by(self, cause: Run, dag_id: str) -> set[str]:
        try:
            answer = self.client.get(
                "/api/v2/assets/events", source_dag_id=cause.dag_id, source_run_id=cause.run_id
            )
        except (NotAnswering, Refused):  # 3.3.2 answers 500 while a started run is still queued
            return set()
        started = [run for event in answer["asset_events"] for run in event["created_dagruns"]]
        return {run["run_id"] for run in started if run["dag_id"] == dag_id}

    def _met(self, dag_id: str, run_id: str) -> Run:
        for run in self.runs:
            if (run.dag_id, run.run_id) == (dag_id, run_id):
                return run
        self.runs.append(Run(dag_id, run_id))
        return self.runs[-1]

    def wait(self, runs: list[Run], *, patience_s: float = 3600.0) -> None:
        """Show progress until every run has ended.

        Raises
        ------
        RunFailed
            For the first run that failed or asks a person something.
        ResourceError
            If they have not ended after ``patience_s``.
        """
        deadline = time.monotonic() + patience_s
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                for run in runs:
                    self._look(run)
                if self.console.is_terminal:
                    live.update(_table(self.runs), refresh=True)
                if all(run.state in FINISHED or run.waiting for run in runs):
                    break
                if time.monotonic() > deadline:
                    raise ResourceError(f"the demo took over {patience_s:.0f} s; {self._page()}")
                time.sleep(POLL_S)
        for run in runs:
            self.console.print(_line(run), highlight=False, soft_wrap=True)
        for run in runs:
            if run.state != "success":
                raise RunFailed(self._reason(run))

    def _look(self, run: Run) -> None:
        if run.state in FINISHED:
            return
        seen = _patiently(self.client, run.path)
        tasks = _patiently(self.client, f"{run.path}/taskInstances", limit=500)["task_instances"]
        states = [task["state"] for task in tasks]
        run.state, run.tasks = seen["state"], len(tasks)
        run.done = sum(state in DONE for state in states)
        run.waiting = [task["task_id"] for task in tasks if task["state"] == "awaiting_input"]
        run.started, run.ended = _moment(seen["start_date"]), _moment(seen["end_date"])

    def _reason(self, run: Run) -> str:
        if run.waiting:
            return f"{run.dag_id}.{run.waiting[0]} waits for your answer: {self._page(run)}"
        tasks = _patiently(self.client, f"{run.path}/taskInstances", limit=500)["task_instances"]
        failed = [task for task in tasks if task["state"] == "failed"]
        if not failed:
            return f"{run.dag_id} failed without a failed task; {self._page(run)}"
        task = min(failed, key=lambda task: task["end_date"] or "")
        return f"{run.dag_id}.{task['task_id']}: {self._error(run, task)} ({self._page(run)})"

    def _error(self, run: Run, task: dict[str, Any]) -> str:
        path = f"{run.path}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        said = _patiently(self.client, path, map_index=task["map_index"], full_content="true")
        return error_of(said["content"]) or "failed and said nothing"

    def _page(self, run: Run | None = None) -> str:
        return f"{self.client.url}/dags/{run.dag_id}/runs/{run.run_id}" if run else self.client.url


def error_of(content: list[Any]) -> str | None:
    """Return the last error of a task's log, as Airflow's API gives it: one line."""
    for entry in reversed(content):
        if not isinstance(entry, dict) or entry.get("level") not in {"error", "critical"}:
            continue
        causes = entry.get("error_detail")
        if causes:
            return " ".join(f"{causes[-1]['exc_type']}: {causes[-1]['exc_value']}".split())
        return " ".join(str(entry.get("event")).split())
    return None


def _patiently(client: Client, path: str, **query: Any) -> dict[str, Any]:
    """Ask again for a minute: a machine at its limit may be slow to answer."""
    deadline = time.monotonic() + SILENCE_S
    while True:
        try:
            return client.get(path, **query)
        except NotAnswering:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _line(run: Run) -> str:
    colour = {"success": "green", "failed": "red"}.get(run.state, "yellow")
    state = "waits for an answer" if run.waiting else run.state
    tasks = f"{run.done}/{run.tasks} tasks"
    return f"  {run.dag_id:<16} [{colour}]{state:<8}[/] {tasks:>14} {run.seconds:7.1f} s"


def _table(runs: list[Run]) -> Table:
    table = Table.grid()
    for run in runs:
        if run.state not in FINISHED:
            table.add_row(_line(run))
    return table
