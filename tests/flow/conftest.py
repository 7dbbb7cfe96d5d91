"""One prepared warehouse for all tests of the whole flow: filled once, then copied."""

import hashlib
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from psycopg import sql

from include.local import airflow, crm, postgres, processes, state
from tests.flow import command
from tests.flow.command import Answer, Command

LAST_DAY = date(2026, 3, 1)
AS_OF = "2026-03-02"
CUSTOMERS, DAYS = 1000, 500


@dataclass(frozen=True)
class Place:
    """A state folder and the warehouse that ``make run`` fills from there."""

    home: Path
    server: postgres.Server = field(repr=False)
    database: str = "warehouse"
    settings: dict[str, str] = field(default_factory=dict, repr=False)

    def start(self, *, tree: Path = command.ROOT, **settings: str) -> Command:
        """Start ``make run``."""
        return Command(self.home, tree=tree, **self.settings | settings)

    def run(self, *, tree: Path = command.ROOT, **settings: str) -> Answer:
        """Do ``make run`` and wait for its end."""
        return self.start(tree=tree, **settings).wait()

    def connect(self, *, reader: bool = False) -> psycopg.Connection[Any]:
        """Open the warehouse as its owner, or as BI does."""
        role = postgres.reader() if reader else postgres.OWNER
        return psycopg.connect(self.server.url(self.database, role), autocommit=True)

    def rows(self, query: str, *, reader: bool = False) -> list[tuple[Any, ...]]:
        """Ask one question."""
        with self.connect(reader=reader) as db:
            return db.execute(query.encode()).fetchall()

    def generation(self) -> int:
        """The generation that BI reads."""
        return self.rows("SELECT max(generation) FROM bi.customer_profile", reader=True)[0][0]

    def shown(self) -> dict[str, list[str]]:
        """What BI reads in every view that tells its generation, but for which run made it when;
        ``freshness`` is about the runs themselves."""
        with self.connect(reader=True) as db:
            views = db.execute(
                """SELECT c.relname::text FROM pg_class AS c JOIN pg_attribute AS a
                   ON a.attrelid = c.oid WHERE c.relnamespace = 'bi'::regnamespace
                   AND a.attname = 'generation' AND c.relname <> 'freshness' ORDER BY 1"""
            ).fetchall()
            return {view: _content(db, view) for (view,) in views}


def _content(db: psycopg.Connection[Any], view: str) -> list[str]:
    query = "SELECT (to_jsonb(v) - '{{generation,run_id,recorded_at}}'::text[])::text FROM {} AS v"
    rows = db.execute(sql.SQL(query).format(sql.Identifier("bi", view))).fetchall()
    return sorted(text for (text,) in rows)


def assert_same(now: dict[str, list[str]], before: dict[str, list[str]]) -> None:
    """What BI reads now is what it read before; else the first row of each view that is not."""
    changed = {
        view: [
            min(set(rows) - set(now[view]), default=None),
            min(set(now[view]) - set(rows), default=None),
        ]
        for view, rows in before.items()
        if now[view] != rows
    }
    assert changed == {}


def airflow_url(server: postgres.Server, database: str) -> str:
    """The URL of a database as a connection of Airflow is written."""
    return server.url(database).replace("postgresql:", "postgres:", 1)


@contextmanager
def nothing_set(**settings: str) -> Iterator[None]:
    """An environment that says nothing of Airflow and us, but for ``settings``."""
    with mock.patch.dict(os.environ, command.clean_environment() | settings, clear=True):
        yield


def copy_database(url_admin: str, template: str, *, name: str | None = None) -> str:
    """Copy a database that nobody is connected to; return the copy's name."""
    name = name or f"flow_{secrets.token_hex(6)}"
    with psycopg.connect(url_admin, autocommit=True) as db:
        names = [sql.Identifier(part) for part in (name, template)]
        db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(names[0]))
        db.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        known = db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [postgres.OWNER])
        if known.fetchone():
            owned = sql.SQL("ALTER DATABASE {} OWNER TO {}")
            db.execute(owned.format(names[0], sql.Identifier(postgres.OWNER)))
    return name


@pytest.fixture(scope="package")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The demo's CRM, small, and what one ``make run`` made of it; not to be written to.

    Copies of its databases are made of ``shop``, ``good`` and ``quiet`` (Airflow's metadata).
    """
    home = tmp_path_factory.mktemp("flow")
    with nothing_set():
        server = postgres.start(home, durable=False)
        place = Place(home, server)
        try:
            settings = airflow.environment(home, metadata="airflow_run")
            command.warm_up(settings)  # goes on beside the next two
            _make_crm(place)
            airflow.migrate(home, settings)
            answer = place.run(AS_OF=AS_OF)
            assert (answer.status, answer.err) == (0, ""), answer
            copy_database(server.url_admin, "warehouse", name="good")
            copy_database(server.url_admin, "airflow_run", name="quiet")
            with psycopg.connect(server.url("quiet")) as db:
                db.execute("DELETE FROM asset_dag_run_queue")  # what nobody was there to take
                db.execute("UPDATE dag SET next_dagrun_create_after = NULL")  # nothing by the clock
            yield place
        finally:
            processes.stop(home, "postgres", signals=[signal.SIGQUIT])  # at once, for good
            postgres.remove(home)


def _make_crm(place: Place) -> None:
    support = state.folder(place.home, "demo") / "support.sqlite"
    with psycopg.connect(place.server.url("shop")) as shop:
        crm.generate(shop, support, customers=CUSTOMERS, days=DAYS, last_day=LAST_DAY)
    state.write_json(place.home / "run" / "demo.json", {"kind": "generated"})


@pytest.fixture(scope="package")
def place(prepared: Place, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Place]:
    """Make another state folder, with a copy of the prepared warehouse or an empty one.

    Its metadata are its own too: two runs at once would write the same DAGs into one.
    """

    def make(*, filled: bool = True) -> Place:
        home, server = tmp_path_factory.mktemp("place"), prepared.server
        database = copy_database(server.url_admin, "good" if filled else "template1")
        metadata = copy_database(server.url_admin, "quiet", name=f"{database}_airflow")
        url = server.url(metadata).replace("postgresql:", "postgresql+psycopg2:", 1)
        settings = {
            "AIRFLOW_CONN_WAREHOUSE": airflow_url(server, database),
            airflow.METADATA: url,
        }
        # as migrate() notes it: a metadata database that is copied needs no migration
        ready = f"{version('apache-airflow')} {hashlib.sha256(url.encode()).hexdigest()}"
        state.write_json(home / "airflow" / "migrated.json", [ready])
        return Place(home, server, database, settings)

    return make


@pytest.fixture(scope="package")
def demo_crm(prepared: Place) -> dict[str, str]:
    """The settings that switch the demo's CRM on."""
    return {
        "AIRFLOW_CONN_SHOP": airflow_url(prepared.server, "shop"),
        "AIRFLOW_CONN_SUPPORT": f"sqlite:///{prepared.home / 'demo' / 'support.sqlite'}",
    }
