"""What happens twice gives the same; what happens at once or one by one, too."""

import shutil
from pathlib import Path

import psycopg
import pytest

from include import landing, sources, warehouse
from include.local import crm
from tests.flow.conftest import AS_OF, airflow_url, assert_same, copy_database, nothing_set

HELD = "SELECT tableoid::regclass::text, ctid::text, xmin::text FROM {} ORDER BY 1, 2"
BUSINESS = """SELECT (to_jsonb(t) - '{{changed_at,landed_at,run_id,deleted_at}}'::text[])::text,
                     deleted_at IS NULL FROM landing.{} AS t ORDER BY 1"""

KEPT_LINES = """SELECT (SELECT count(*) FROM landing.order_line)
    + (SELECT count(*) FROM ops.quarantine WHERE entity = 'order_line')"""


def landing_tables(place) -> list[str]:
    rows = place.rows(
        "SELECT relname::text FROM pg_class WHERE relkind = 'p' "
        "AND relnamespace = 'landing'::regnamespace ORDER BY 1"
    )
    return [name for (name,) in rows]


@pytest.fixture(scope="module")
def twice(place, demo_crm):
    """A warehouse before and after a second run for the same day, nothing having changed."""
    there = place()
    tables = landing_tables(there)
    before = {name: there.rows(HELD.format(f"landing.{name}")) for name in tables}
    shown = there.shown()
    answer = there.run(AS_OF=AS_OF, **demo_crm)
    assert answer.status == 0, answer
    return there, before, shown


def test_a_second_run_for_the_same_day_shows_bi_the_same(twice):
    there, _, shown = twice
    assert there.generation() == 2
    assert {"customer_profile", "customer_score", "recommendation", "segment"} < set(shown)
    assert_same(there.shown(), shown)
    not_yet = {"audience_export", "lift"}  # nobody took a file, no horizon has passed
    assert {view for view in shown if not shown[view]} == not_yet


def test_a_second_ingest_without_a_change_writes_no_row(twice):
    there, before, _ = twice
    assert sum(map(len, before.values())) > 10_000
    for name, held in before.items():
        assert there.rows(HELD.format(f"landing.{name}")) == held, name


def test_two_days_one_by_one_or_both_at_once_land_the_same(prepared, place, tmp_path):
    landed = []
    for number, steps in enumerate([(1, 1), (2,)]):
        there = place()
        shop = copy_database(prepared.server.url_admin, "shop")
        support = tmp_path / f"support{number}.sqlite"
        shutil.copy(prepared.home / "demo" / "support.sqlite", support)
        for days in steps:
            with psycopg.connect(prepared.server.url(shop)) as db:
                crm.further_days(db, support, days=days)
            ingest(there, shop, support)
        landed.append({name: there.rows(BUSINESS.format(name)) for name in sources.ENTITIES})
    one_by_one, at_once = landed
    for name in sources.ENTITIES:
        assert one_by_one[name] == at_once[name], name
    with psycopg.connect(prepared.server.url(shop)) as db:
        held = db.execute("SELECT count(*) FROM order_lines").fetchone()
    assert there.rows(KEPT_LINES) == [held]
    assert not all(alive for _, alive in at_once["customer"])  # deletions are among the changes


def ingest(there, shop: str, support: Path) -> None:
    connections = {
        "AIRFLOW_CONN_SHOP": airflow_url(there.server, shop),
        "AIRFLOW_CONN_SUPPORT": f"sqlite:///{support}",
    }
    with nothing_set(**there.settings | connections), there.connect() as db:
        warehouse.deploy(db)
        for source in map(sources.load, sources.switched_on()):
            for entity in source.entities:
                landing.load(source, entity, db, run_id=f"days/{shop}")
