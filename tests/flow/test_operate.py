"""What people start by hand, run for real: check again, read some days again, compare and mend."""

import multiprocessing
import os
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from include.local import airflow
from tests.flow import command

DAYS = {"source": "shop", "entity": "customer_order", "since": "2026-01-10", "until": "2026-01-12"}
BACKWARDS = DAYS | {"since": "2026-01-12", "until": "2026-01-10"}
CHANNEL = "UPDATE landing.customer_order SET channel = '?' WHERE source = 'shop' AND changed_at "
DAMAGE = f"""
    UPDATE ops.quarantine SET payload = jsonb_set(payload, '{{unit_price}}', '"2.5"')
    WHERE "column" = 'unit_price';
    {CHANNEL} >= '2026-01-10Z' AND changed_at < '2026-01-12Z';
    {CHANNEL} >= '2026-01-12Z' AND changed_at < '2026-01-13Z';
    DELETE FROM landing.customer WHERE source = 'shop'
    AND source_id = (SELECT min(source_id) FROM landing.customer WHERE source = 'shop');
"""
LANDED = """SELECT 'customer', source_id, first_name FROM landing.customer WHERE source = 'shop'
    UNION ALL SELECT 'order', source_id, channel FROM landing.customer_order ORDER BY 1, 2"""
DONE = """SELECT dag, r.status, r.rows_out, r.rows_reconciled, r.message
    FROM ops.pipeline_run AS r WHERE dag ~ '^(replay|backfill|reconcile_)' ORDER BY started_at"""


def operate(env: Mapping[str, str], said: str) -> None:
    """``make replay``, the form of backfills twice, ``make reconcile``; runs in a fork."""
    os.environ.clear()
    os.environ.update(env)
    command._configure_airflow(str(command.ROOT))
    from include.local import commands

    _say_to(Path(said) / "replay")
    commands.main(["replay"])
    _say_to(Path(said) / "backfill")
    from airflow.dag_processing.dagbag import DagBag

    form = DagBag(dag_folder=f"{command.ROOT}/dags/operate.py").dags["backfill"]
    for days in (DAYS, BACKWARDS):
        form.test(run_conf=days)
    _say_to(Path(said) / "reconcile")
    commands.main(["reconcile"])


def _say_to(path: Path) -> None:
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


@pytest.fixture(scope="module")
def operated(place, demo_crm):
    """A warehouse that was damaged and mended, what it held before, and what was printed."""
    there = place()
    before = there.rows(LANDED)
    with there.connect() as db:
        db.execute(DAMAGE.encode())
    said = there.home / "operated"
    said.mkdir()
    env = command.clean_environment() | {"PORTRAIT_HOME": str(there.home)}
    process = multiprocessing.get_context("forkserver").Process(
        target=operate, args=(env | there.settings | demo_crm, str(said))
    )
    process.start()
    process.join(command.PATIENCE_S)
    assert process.exitcode == 0
    return there, before, {path.name: path.read_text() for path in said.iterdir()}


def printed(text: str) -> list[str]:
    """Its lines, without how long each DAG took."""
    return [" ".join(line.partition(" tasks ")[0].split()) for line in text.splitlines()]


def test_a_replay_lands_what_was_put_right_and_counts_the_rest(operated):
    _, _, said = operated
    assert printed(said["replay"]) == [
        "replay success 5",
        "shop.customer_order: 7 re-checked, 0 landed, 7 still set aside",
        "shop.order_line: 7 re-checked, 3 landed, 4 still set aside",
        "shop.product: 5 re-checked, 0 landed, 5 still set aside",
        "support.feedback: 2 re-checked, 0 landed, 2 still set aside",
        "support.ticket: 2 re-checked, 0 landed, 2 still set aside",
    ]


def test_a_reconciliation_reads_the_ranges_that_differ_and_counts_what_it_mended(operated):
    there, before, said = operated
    lines = printed(said["reconcile"])
    assert lines[:3] == [
        "reconcile_shop success 7",
        "reconcile_support success 6",
        "shop.customer: 256 key ranges compared, 1 read again, 1 rows repaired",
    ]
    assert there.rows(LANDED) == before


def test_the_ledger_counts_each_and_says_why_one_failed(operated):
    there, _, _ = operated
    days = """SELECT count(*) FROM landing.customer_order WHERE source = 'shop'
              AND changed_at >= '{}' AND changed_at < '{}'"""
    ((read_again,),) = there.rows(days.format("2026-01-10Z", "2026-01-12Z"))
    ((left,),) = there.rows(days.format("2026-01-12Z", "2026-01-13Z"))
    assert read_again > 0
    assert left > 0
    assert there.rows(DONE) == [
        ("replay", "success", 3, None, None),
        ("backfill", "success", read_again, None, None),
        (
            *("backfill", "failed", None, None),
            "since 2026-01-12 is not before until 2026-01-10: give the earlier day first",
        ),
        ("reconcile_shop", "success", left + 1, left + 1, None),
        ("reconcile_support", "success", 0, 0, None),
    ]


def test_the_ledger_says_how_much_an_ingest_read_how_fast_and_how_far_behind(operated):
    there, _, _ = operated
    query = """SELECT r.rows_in = sum(l.rows_in), r.bytes_in = sum(l.bytes_in), r.bytes_in > 0,
                      r.rows_per_second > 0, r.lag_seconds = max(l.lag_seconds), r.rows_reconciled
               FROM bi.pipeline_run AS r JOIN bi.load AS l USING (run_id)
               WHERE r.dag LIKE 'ingest%' GROUP BY run_id, r.rows_in, r.bytes_in,
                   r.rows_per_second, r.lag_seconds, r.rows_reconciled"""
    assert there.rows(query, reader=True) == [(True, True, True, True, True, None)] * 2


def test_profiles_follow_where_a_row_changed_and_only_there(operated):
    there, _, _ = operated
    url = there.settings[airflow.METADATA].replace("postgresql+psycopg2:", "postgresql:")
    with psycopg.connect(url) as db:
        events = db.execute(
            """SELECT source_dag_id, name FROM asset_event JOIN asset ON asset.id = asset_id
               WHERE source_dag_id ~ '^(replay|backfill|reconcile_)' ORDER BY asset_event.id"""
        ).fetchall()
    assert events == [
        ("replay", "landing_shop"),
        ("backfill", "landing_shop"),
        ("reconcile_shop", "landing_shop"),
    ]
