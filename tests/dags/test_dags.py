"""House policy of dags/: light to parse, linked by assets, documented, retried where it helps."""

import ast
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.airflow_home import migrated

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "dags"
FILES = sorted(DAGS.glob("*.py"))
LIGHT = {"airflow", "datetime", "house", "include", "os"}
CONNECTIONS = {
    "AIRFLOW_CONN_SHOP": "postgres://nobody:secret@127.0.0.1:1/shop",
    "AIRFLOW_CONN_SUPPORT": "sqlite:////nowhere/support.db",
    "AIRFLOW_CONN_WAREHOUSE": "postgres://nobody:secret@127.0.0.1:1/warehouse",
}


@pytest.fixture(scope="module")
def dags():
    """Every DAG, with both demo sources switched on and nothing to connect to."""
    migrated()
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:
        for name, url in CONNECTIONS.items():
            patch.setenv(name, url)
        patch.syspath_prepend(str(DAGS))
        bag = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    return bag.dags


def test_two_dags_a_source_one_a_stage_and_one_a_form(dags):
    assert sorted(dags) == [
        *("backfill", "champion", "ingest_shop", "ingest_support", "profile", "publish"),
        *("reconcile_shop", "reconcile_support", "replay", "review", "rollback"),
        "train",
    ]


def test_a_source_is_reconciled_on_sundays_unless_its_mapping_says_otherwise(dags):
    assert dags["reconcile_shop"].schedule.expression == "0 4 * * 0"
    assert dags["ingest_shop"].schedule.expression == "0 2 * * *"


@pytest.mark.parametrize("every", ["{m} {h} * * {weekday}", "{m} {h} * * *"], ids=["week", "day"])
def test_a_new_dag_waits_for_its_next_moment_although_the_last_is_just_past(dags, every):
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction
    from house import cron

    now = datetime.now(UTC)
    past = now - timedelta(minutes=3)
    schedule = cron(every.format(m=past.minute, h=past.hour, weekday=past.isoweekday() % 7))
    made = DagSerialization.deserialize_dag(
        DagSerialization.serialize_dag(DAG("new", schedule=schedule, catchup=False))
    )
    first = made.timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(None, None, catchup=False)
    )
    assert first.run_after > now


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_light_modules_are_imported_while_parsing(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or node.names[0].name
            assert module.split(".")[0] in LIGHT, (
                f"{path.name}:{node.lineno}: import {module} inside the task that needs it"
            )


COST = """
import sys, time
connects = []
sys.addaudithook(lambda event, args: connects.append(args) if event == "socket.connect" else None)
import airflow.sdk, airflow.sdk.definitions.decorators, pendulum
sys.path.insert(0, sys.argv[2])
before = time.process_time()
source = open(sys.argv[1]).read()
exec(compile(source, sys.argv[1], "exec"), {"__name__": "dag", "__doc__": "doc"})
print(time.process_time() - before, len(connects))
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_parsing_opens_no_connection(path):
    migrated()
    printed = subprocess.run(
        [sys.executable, "-c", COST, str(path), str(DAGS)],
        env={**os.environ, **CONNECTIONS, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert printed[-1] == "0"


def names(condition) -> set[str]:
    """The assets in the AND and OR of a schedule."""
    if hasattr(condition, "objects"):
        return set().union(*(names(part) for part in condition.objects))
    return {condition.name}


def test_every_asset_waited_for_is_produced(dags):
    made = {asset.name for dag in dags.values() for task in dag.tasks for asset in task.outlets}
    for name, dag in dags.items():
        if condition := getattr(dag.timetable, "asset_condition", None):
            missing = names(condition) - made
            assert not missing, f"{name} waits for {missing}, which no task produces"


def test_profile_waits_for_any_source(dags):
    condition = dags["profile"].timetable.asset_condition
    assert type(condition).__name__ == "AssetAny"
    assert names(condition) == {"landing_shop", "landing_support"}


STAGES = ["ingest_shop", "reconcile_shop", "profile", "train", "publish"]
FORMS = ["replay", "backfill", "review", "rollback", "champion"]


@pytest.mark.parametrize("name", [*STAGES, *FORMS])
def test_each_dag_says_what_it_does_whose_it_is_and_runs_once_at_a_time(dags, name):
    dag = dags[name]
    assert len(dag.doc_md) > 100, f"{name}: the docstring is the runbook"
    assert dag.tags, f"{name}: has no tag"
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert task.owner == "portrait"
        assert task.retries == 2
        assert task.retry_policy is not None, f"{name}.{task.task_id}: has no retry policy"


@pytest.mark.parametrize("name", ["profile", "train", "publish", *FORMS])
def test_each_field_of_a_form_has_a_label_and_help(dags, name):
    for field in dags[name].params:
        param = dags[name].params.get_param(field)
        assert param.schema.get("title"), f"{name}: {field} has no label"
        assert param.description, f"{name}: {field} has no help"
        assert param.schema.get("type"), f"{name}: {field} has no type"


def test_a_reconciliation_makes_its_source_fresh(dags):
    done = dags["reconcile_shop"].get_task("done")
    assert [asset.name for asset in done.outlets] == ["landing_shop"]


def test_the_page_says_what_each_dag_is_for(dags):
    from plugins.portrait.access import PURPOSES

    assert {name.partition("_")[0] for name in dags} == set(PURPOSES)


@pytest.mark.parametrize("name", ["replay", "backfill"])
def test_a_form_offers_the_sources_that_are_on(dags, name):
    offered = dags[name].params.get_param("source").schema["enum"]
    assert [value for value in offered if value] == ["shop", "support"]


def test_a_broken_check_is_not_retried_and_a_lost_connection_is(dags):
    from include.errors import QualityError, ResourceError

    policy = dags["ingest_shop"].get_task("copy").retry_policy
    assert policy.evaluate(QualityError("x"), 1, 2).action.name == "FAIL"
    assert policy.evaluate(ResourceError("x"), 1, 2).action.name == "DEFAULT"


def test_a_mapping_that_cannot_be_used_costs_only_its_own_dag(tmp_path, monkeypatch):
    migrated()
    from airflow.dag_processing.dagbag import DagBag

    from include import sources

    (tmp_path / "shop.yaml").write_text("connection: shop\nentities: {goods: {}}\n")
    (tmp_path / "support.yaml").write_text((sources.HERE / "support.yaml").read_text())
    for name, url in CONNECTIONS.items():
        monkeypatch.setenv(name, url)
    monkeypatch.syspath_prepend(str(DAGS))
    load = sources.load
    monkeypatch.setattr(sources, "load", lambda name, folder=tmp_path: load(name, folder))
    bag = DagBag(dag_folder=str(DAGS / "ingest.py"))
    assert bag.import_errors == {}
    for dag_id in ("ingest_shop", "reconcile_shop"):
        assert [task.task_id for task in bag.dags[dag_id].tasks] == ["read_mapping"]
    assert len(bag.dags["ingest_support"].tasks) == 3
