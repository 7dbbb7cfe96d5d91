"""A snapshot is one moment, complete or not there, and holds nothing personal."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from include import domains, snapshot
from include.errors import InputError, QualityError, ResourceError
from include.snapshot.schema import SCHEMA
from tests.snapshot.edits import START, land


@pytest.fixture
def berlin(monkeypatch):
    """Business days start at midnight in Berlin, an hour before UTC in winter."""
    german = domains.load().model_copy(update={"time_zone": "Europe/Berlin"})
    monkeypatch.setattr(domains, "load", lambda: german)


def rows(folder: Path, entity: str, *columns: str) -> list[tuple]:
    table = pq.read_table(folder / f"{entity}.parquet", columns=list(columns))
    return [tuple(row.values()) for row in table.to_pylist()]


def test_every_entity_has_its_file_with_the_columns_of_the_schema(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="r")
    for entity, schema in SCHEMA.items():
        assert pq.read_schema(folder / f"{entity}.parquet").equals(schema), entity


def test_lines_have_their_customer_and_what_was_not_meant_is_left_out(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="r")
    assert rows(folder, "order_line", "order_id", "customer_id", "product_id", "amount") == [
        ("shop:o1", 1, "shop:P", Decimal("2")),
        ("shop:o1", 1, "shop:POST", Decimal("-3")),
        ("shop:gone", 1, "shop:unknown", Decimal("7")),
        ("shop:o3", None, "shop:P", Decimal("7")),
    ]
    assert rows(folder, "order_line", "is_product") == [(True,), (False,), (True,), (True,)]


def test_orders_that_were_not_meant_are_there_with_a_flag_and_deleted_ones_are_not(
    company, tmp_path
):
    company.execute("UPDATE landing.customer_order SET deleted_at = now() WHERE source_id = 'o3'")
    company.commit()
    folder = snapshot.take(company, tmp_path, run_id="r")
    assert rows(folder, "customer_order", "order_id", "customer_id", "total", "is_left_out") == [
        ("shop:o1", 1, Decimal("5.5"), False),
        ("shop:o2", 1, Decimal("9"), True),
    ]


@pytest.fixture
def noise(monkeypatch):
    """Change what the domain says of noise."""

    def say(**rules):
        domain = domains.load()
        changed = domain.model_copy(update={"noise": domain.noise.model_copy(update=rules)})
        monkeypatch.setattr(domains, "load", lambda: changed)

    return say


ACCOUNTS = [  # what the record says, is_staff, is_test
    ({"email": "Ada@STAFF.example "}, True, False),
    ({"email": "ada@mail.staff.example"}, False, False),
    ({"email": "staff.example"}, False, False),
    ({"first_name": "Test", "last_name": "Evans"}, False, True),
    ({"first_name": "Ada", "last_name": "TESTER "}, False, True),
    ({"full_name": " Test Account"}, False, True),
    ({"first_name": "Quality", "last_name": "Check"}, False, True),
    ({"email": "test@mail.example"}, False, True),
    ({"email": "Test+17@mail.example"}, False, True),
    ({"email": "test@test"}, False, False),
    ({"email": "contest@mail.example", "first_name": "Testa"}, False, False),
    ({}, False, False),
]


def test_staff_and_test_accounts_are_flagged_by_what_itself_stays_behind(
    empty_company, noise, tmp_path
):
    noise(staff_email_domains=("staff.example",),
          test_names=("test", "tester", "test account", "quality check"))  # fmt: skip
    for number, (said, _, _) in enumerate(ACCOUNTS):
        land(empty_company, "customer", f"{number:02}", START, **said)
    empty_company.commit()
    folder = snapshot.take(empty_company, tmp_path, run_id="r")
    expected = [(staff, test) for _, staff, test in ACCOUNTS]
    assert rows(folder, "customer", "is_staff", "is_test") == expected


@pytest.mark.parametrize(("policy", "quantities"), [("keep", [2, 2, 5]), ("count_once", [2, 5])])
def test_a_line_with_a_key_of_its_own_is_a_line_unless_the_domain_counts_alike_ones_once(
    empty_company, noise, tmp_path, policy, quantities
):
    noise(duplicate_lines=policy)
    for number, quantity in enumerate((2, 2, 5)):
        land(empty_company, "order_line", f"l{number}", START, order_source_id="o", line_no=number,
             product_source_id="p", ordered_at=START, quantity=quantity, unit_price=1)  # fmt: skip
    empty_company.commit()
    folder = snapshot.take(empty_company, tmp_path, run_id="r")
    assert rows(folder, "order_line", "quantity") == [(Decimal(n),) for n in quantities]


def test_records_share_their_customer_and_deleted_ones_are_left_out(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="r")
    columns = ("customer_id", "source", "source_id", "birth_year", "city")
    assert rows(folder, "customer", *columns) == [
        (1, "shop", "1", 1980, "London"),
        (1, "support", "x", None, None),
    ]
    assert rows(folder, "ticket", "ticket_id", "customer_id", "reopened") == [("support:t1", 1, 1)]
    assert rows(folder, "feedback", "customer_id", "rating") == [(1, 4.5)]
    assert rows(folder, "consent", "customer_id", "purpose", "granted") == [(1, "marketing", True)]


def test_text_keeps_its_commas_quotes_and_line_breaks(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="r")
    columns = ("name", "description", "category", "in_stock", "is_product")
    assert rows(folder, "product", *columns) == [
        ("Pen", 'blue,\n"fine"', None, True, True),
        ("Postage", "", None, True, False),
    ]


def test_times_are_those_of_the_business(berlin, company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="r")
    first = rows(folder, "order_line", "ordered_at", "ordered_on", "ordered_hour")[0]
    assert first == (datetime(2026, 2, 2, 0, 30, 0, 250000), date(2026, 2, 2), 0)  # noqa: DTZ001
    assert rows(folder, "customer", "signup_on")[0] == (date(2026, 1, 1),)


def test_the_manifest_says_what_is_in_the_folder(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="r")
    said = json.loads((folder / "manifest.json").read_text())
    moments = [datetime.fromisoformat(said.pop(f"{what}_at")) for what in ("settled", "known")]
    assert moments == sorted(moments)
    assert said.pop("taken_at") == moments[1].isoformat()
    assert said.pop("known_from").keys() == {"shop", "support"}
    assert said.pop("prints").keys() == SCHEMA.keys()
    assert len(said.pop("settings")) == 32
    assert said == {
        "run_id": "r",
        "previous": None,
        "time_zone": "UTC",
        "rows": {
            "customer": 2,
            "product": 2,
            "customer_order": 3,
            "order_line": 4,
            "interaction": 1,
            "ticket": 1,
            "feedback": 1,
            "consent": 1,
        },
        "consent_mapped": True,
    }


def test_entities_without_rows_give_empty_files(empty_company, tmp_path):
    folder = snapshot.take(empty_company, tmp_path, run_id="r")
    assert {entity: rows(folder, entity) for entity in SCHEMA} == {entity: [] for entity in SCHEMA}
    assert snapshot.manifest(folder)["consent_mapped"] is False


def test_nothing_personal_is_in_any_file(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="r")
    held = " ".join(
        str(value)
        for entity, schema in SCHEMA.items()
        for field in schema
        for (value,) in rows(folder, entity, field.name)
    ).lower()
    personal = company.execute(
        """SELECT DISTINCT lower(value) FROM landing.customer, LATERAL (VALUES (email), (phone),
           (first_name), (last_name), (full_name), (street), (postal_code), (birth_date::text))
           AS v (value) WHERE value IS NOT NULL"""
    ).fetchall()
    assert len(personal) > 8
    assert [value for (value,) in personal if re.search(rf"\b{re.escape(value)}\b", held)] == []
    assert not {"email", "phone", "full_name", "birth_date"} & {
        name for schema in SCHEMA.values() for name in schema.names
    }


def test_the_same_run_gets_the_folder_that_is_there(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="manual__2026-03-01T00:00:00+00:00")
    company.execute("DELETE FROM landing.ticket")
    company.commit()
    assert snapshot.take(company, tmp_path, run_id="manual__2026-03-01T00:00:00+00:00") == folder
    assert snapshot.manifest(folder)["rows"]["ticket"] == 1
    assert folder.parent == tmp_path
    assert re.fullmatch(r"[\w+-]+", folder.name)


def test_run_ids_that_look_alike_have_folders_of_their_own(company, tmp_path):
    names = {
        snapshot.take(company, tmp_path / str(place), run_id=run_id).name
        for place, run_id in enumerate(("a:b", "a-b", "a/b"))
    }
    assert len(names) == 3


def test_the_same_landing_gives_the_same_bytes(company, tmp_path):
    one = snapshot.take(company, tmp_path / "1", run_id="one")
    two = snapshot.take(company, tmp_path / "2", run_id="two")
    for entity in SCHEMA:
        assert (one / f"{entity}.parquet").read_bytes() == (two / f"{entity}.parquet").read_bytes()


def test_all_entities_are_of_one_moment(company, warehouse_url, tmp_path, monkeypatch):
    write = snapshot.write_parquet

    def late_rows(db, query, schema, path):
        with psycopg.connect(warehouse_url) as other:
            other.execute("DELETE FROM landing.consent")
        return write(db, query, schema, path)

    monkeypatch.setattr(snapshot, "write_parquet", late_rows)
    folder = snapshot.take(company, tmp_path, run_id="r")
    assert rows(folder, "consent", "customer_id") == [(1,)]


def test_a_damaged_snapshot_is_taken_again(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="r")
    (folder / "ticket.parquet").unlink()
    assert snapshot.newest(tmp_path) is None
    assert snapshot.take(company, tmp_path, run_id="r") == snapshot.newest(tmp_path) == folder


def test_the_newest_are_kept_and_what_is_not_ours_is_left_alone(company, tmp_path):
    (tmp_path / "somebody").mkdir()
    (tmp_path / "somebody" / "file").touch()
    fresh, stale = tmp_path / ".unfinished-a-1", tmp_path / ".unfinished-b-1"
    fresh.mkdir()
    stale.mkdir()
    os.utime(stale, (time.time() - 90_000,) * 2)
    for run_id in ("a", "b", "c", "d"):
        assert snapshot.newest(tmp_path) == (
            tmp_path / before if (before := _last(run_id)) else None
        )
        visit(company, run_id)
        snapshot.take(company, tmp_path, run_id=run_id, keep=2)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".unfinished-a-1", "c", "d", "somebody"]


def _last(run_id: str) -> str | None:
    return {"b": "a", "c": "b", "d": "c"}.get(run_id)


def visit(db: psycopg.Connection, key: str) -> None:
    """Something new in the landing."""
    db.execute(
        """INSERT INTO landing.interaction (source, source_id, landed_at, run_id,
               customer_source_id, happened_at, kind)
           VALUES ('shop', %s, now(), 'r', '1', '2026-02-01', 'visit')""",
        [key],
    )
    db.commit()


def test_nothing_new_gives_no_new_snapshot(company, tmp_path, caplog):
    caplog.set_level("INFO")
    folder = snapshot.take(company, tmp_path, run_id="one")
    assert snapshot.take(company, tmp_path, run_id="two") == folder
    assert "nothing new since snapshot" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    visit(company, "v2")
    assert snapshot.take(company, tmp_path, run_id="three") == tmp_path / "three"


def test_other_settings_of_the_business_give_another_snapshot(company, tmp_path, monkeypatch):
    snapshot.take(company, tmp_path, run_id="one")
    german = domains.load().model_copy(update={"time_zone": "Europe/Berlin"})
    monkeypatch.setattr(domains, "load", lambda: german)
    folder = snapshot.take(company, tmp_path, run_id="two")
    assert folder == tmp_path / "two"
    assert snapshot.manifest(folder)["previous"] is None


def test_an_entity_without_changes_is_a_link_to_the_file_that_is_there(company, tmp_path):
    one = snapshot.take(company, tmp_path, run_id="one")
    visit(company, "v2")
    two = snapshot.take(company, tmp_path, run_id="two")
    assert {
        entity
        for entity in SCHEMA
        if not (one / f"{entity}.parquet").samefile(two / f"{entity}.parquet")
    } == {"interaction"}
    assert snapshot.manifest(two)["rows"]["interaction"] == 2


def test_no_snapshot_yet(tmp_path):
    assert snapshot.newest(tmp_path / "absent") is None


def test_a_name_that_something_else_has_is_refused(company, tmp_path):
    (tmp_path / "r").write_text("a file")
    with pytest.raises(ResourceError, match="r: Not a directory; make room or set another folder"):
        snapshot.take(company, tmp_path, run_id="r")
    assert (tmp_path / "r").read_text() == "a file"


def test_a_connection_inside_a_transaction_is_refused(company, tmp_path):
    company.execute("SELECT 1")
    with pytest.raises(InputError, match="is in a transaction; commit it"):
        snapshot.take(company, tmp_path, run_id="r")


def test_a_value_without_a_place_is_named_by_its_column_only(company, tmp_path):
    company.execute("UPDATE landing.order_line SET ordered_at = 'infinity' WHERE source_id = 'l1'")
    company.commit()
    with pytest.raises(QualityError, match=r"landing\.order_line: a value of ordered_at has no"):
        snapshot.take(company, tmp_path, run_id="r")
    assert list(tmp_path.iterdir()) == []
    assert company.read_only is None


def test_a_lost_connection_leaves_nothing(company, warehouse_url, tmp_path, monkeypatch):
    write = snapshot.write_parquet

    def cut(db, query, schema, path):
        if path.stem == "ticket":
            with psycopg.connect(warehouse_url) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [db.info.backend_pid])
        return write(db, query, schema, path)

    monkeypatch.setattr(snapshot, "write_parquet", cut)
    with pytest.raises(psycopg.OperationalError):
        snapshot.take(company, tmp_path, run_id="r")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import psycopg
from include import snapshot
write = snapshot.write_parquet
def die(db, query, schema, path):
    rows = write(db, query, schema, path)
    if path.stem == "order_line":
        os.kill(os.getpid(), signal.SIGKILL)
    return rows
snapshot.write_parquet = die
snapshot.take(psycopg.connect(sys.argv[1]), Path(sys.argv[2]), run_id="r")
"""


def test_a_kill_in_the_middle_leaves_no_folder_that_looks_complete(
    company, warehouse_url, tmp_path
):
    ended = subprocess.run([sys.executable, "-c", KILLED, warehouse_url, str(tmp_path)])
    assert ended.returncode == -signal.SIGKILL
    assert snapshot.newest(tmp_path) is None
    assert [path.name[:12] for path in tmp_path.iterdir()] == [".unfinished-"]
    folder = snapshot.take(company, tmp_path, run_id="r")
    assert snapshot.newest(tmp_path) == folder


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a file system of 64 kB with 8 kB left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True
    )
    if made.returncode:
        pytest.skip("a small file system can be mounted by root only")
    (disk / "ballast").write_bytes(bytes(56 << 10))
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_nothing_and_says_so(company, full_disk):
    with pytest.raises(ResourceError, match="No space left on device; make room or set another"):
        snapshot.take(company, full_disk, run_id="r")
    assert [path.name for path in full_disk.iterdir()] == ["ballast"]
