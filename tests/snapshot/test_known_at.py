"""A snapshot of an earlier moment, and who changed between two of them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import psycopg
import pyarrow.parquet as pq
import pytest

from include import identity, snapshot
from include.errors import InputError
from include.snapshot.schema import SCHEMA
from tests.snapshot.edits import START, identify, land, random_edits

HOUR = timedelta(hours=1)
SAYS_NOTHING = "EXCLUDE (description, in_stock, available_on, discontinued_on)"  # of its buyers


def read(folder: Path, entity: str, *columns: str) -> list[tuple]:
    table = pq.read_table(folder / f"{entity}.parquet", columns=list(columns))
    return [tuple(row.values()) for row in table.to_pylist()]


def touched(folder: Path) -> set[int]:
    return {customer_id for (customer_id,) in read(folder, "touched", "customer_id")}


def differing(one: Path, two: Path) -> set[int]:
    """The customers with another row in either snapshot, or who bought a product with one."""
    both = [one, two]
    with duckdb.connect() as db:

        def ask(query: str) -> set[int]:
            return {customer for (customer,) in db.execute(query).fetchall()}

        def odd(entity: str, what: str) -> str:
            a, b = (f"SELECT {what} FROM '{folder}/{entity}.parquet'" for folder in both)
            return f"(({a} EXCEPT ALL {b}) UNION ALL ({b} EXCEPT ALL {a}))"

        found = [
            ask(f"SELECT customer_id FROM {odd(entity, '*')}")
            for entity in SCHEMA
            if entity != "product"
        ]
        products = f"SELECT product_id FROM {odd('product', '* ' + SAYS_NOTHING)}"
        found += [
            ask(f"""SELECT customer_id FROM '{folder}/{entity}.parquet'
                    WHERE product_id IN ({products})""")
            for folder in both
            for entity in ("order_line", "interaction", "ticket", "feedback")
        ]
    return set().union(*found) - {None}


def contents(folder: Path) -> dict[str, list[tuple]]:
    return {entity: sorted(read(folder, entity), key=repr) for entity in SCHEMA}


def test_a_snapshot_of_an_earlier_moment_has_the_versions_of_then(empty_company, tmp_path):
    db = empty_company
    land(db, "product", "P", START, name="Pen")
    land(db, "product", "P", START + 2 * HOUR, name="Pencil")
    land(db, "product", "Q", START + 2 * HOUR, name="Quill")
    land(db, "product", "P", START + 4 * HOUR, name="Pencil", deleted_at=START)
    db.commit()
    names = {
        hours: read(
            snapshot.take(db, tmp_path, run_id=str(hours), known_at=START + hours * HOUR),
            *("product", "name"),
        )
        for hours in (-1, 0, 1, 2, 3, 4)
    }
    assert names == {
        -1: [],
        0: [("Pen",)],
        1: [("Pen",)],
        2: [("Pencil",), ("Quill",)],
        3: [("Pencil",), ("Quill",)],
        4: [("Quill",)],
    }


def test_a_record_belongs_to_whom_it_was_known_to_belong(empty_company, tmp_path):
    db = empty_company
    land(db, "customer", "c", START, city="Oslo")
    identify(db, "c", 1, START)
    identify(db, "c", 2, START + 2 * HOUR)
    db.commit()
    for hours, expected in ((1, 1), (2, 2)):
        folder = snapshot.take(db, tmp_path, run_id=str(hours), known_at=START + hours * HOUR)
        assert read(folder, "customer", "customer_id") == [(expected,)]
    assert touched(folder) == {1, 2}


def test_the_manifest_says_since_when_each_source_is_known(empty_company, tmp_path):
    land(empty_company, "product", "P", START, name="Pen")
    land(empty_company, "product", "P", START + HOUR, name="Pencil")
    land(empty_company, "consent", "a", START + HOUR, purpose="marketing", granted=True,
         customer_source_id="c", given_at=START)  # fmt: skip
    empty_company.commit()
    said = [
        snapshot.manifest(snapshot.take(empty_company, tmp_path, run_id=str(at), known_at=at))
        for at in (START - HOUR, START, START + HOUR)
    ]
    assert [each["known_from"] for each in said] == [
        {},
        {"shop": START.isoformat()},
        {"shop": START.isoformat()},
    ]
    assert [each["consent_mapped"] for each in said] == [False, False, True]
    assert [each["previous"] and each["previous"]["known_at"] for each in said] == [
        None,
        (START - HOUR).isoformat(),
        None,  # consent is mapped for the first time, which is about everybody
    ]


@pytest.mark.parametrize(
    ("known_at", "message"),
    [
        (datetime(2026, 1, 1), "has no offset: write it as 2026-03-01T06"),  # noqa: DTZ001
        (datetime(2999, 1, 1, tzinfo=UTC), "the warehouse's time: give an earlier moment or none"),
    ],
)
def test_a_moment_that_cannot_be_known_is_refused(company, tmp_path, known_at, message):
    with pytest.raises(InputError, match=message):
        snapshot.take(company, tmp_path, run_id="r", known_at=known_at)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(6))
def test_whoever_differs_between_two_snapshots_was_touched(empty_company, tmp_path, seed):
    rng, db, folders = np.random.default_rng(seed), empty_company, []
    for edit, number in enumerate((400, 1, 4, 12, 40, 3)):
        random_edits(db, rng, START + edit * HOUR, number)
        known_at = START + edit * HOUR
        folders.append(snapshot.take(db, tmp_path, run_id=str(edit), known_at=known_at, keep=9))
    seen = 0
    for before, after in pairwise(folders):
        if before != after and snapshot.manifest(after)["previous"]:
            assert snapshot.manifest(after)["previous"]["folder"] == str(before)
            assert differing(before, after) <= touched(after)
            seen += len(differing(before, after))
    assert seen > 5
    again = snapshot.take(db, tmp_path / "again", run_id="r", known_at=START + 3 * HOUR)
    assert contents(again) == contents(folders[3])


def test_one_edit_touches_only_those_it_is_about(empty_company, tmp_path):
    db = empty_company
    for number in range(1, 6):
        land(db, "customer", f"c{number}", START, city="Oslo")
        land(db, "customer_order", f"o{number}", START, customer_source_id=f"c{number}",
             ordered_at=START)  # fmt: skip
        land(db, "order_line", f"l{number}", START, order_source_id=f"o{number}", quantity=1,
             product_source_id=f"p{number}", unit_price=1, ordered_at=START)  # fmt: skip
        land(db, "product", f"p{number}", START, name="Pen")
        identify(db, f"c{number}", number, START)
    land(db, "order_line", "gift", START, order_source_id="o5", quantity=1, customer_source_id="c4",
         product_source_id="p5", unit_price=1, ordered_at=START)  # fmt: skip
    db.commit()
    edits = [
        (("customer", "c1"), {"city": "Rome"}, {1}),
        (("customer_order", "o2"), {"ordered_at": START, "status": "cancelled"}, {2}),
        (("customer_order", "o1"), {"ordered_at": START, "customer_source_id": "c3"}, {1, 3}),
        (("customer_order", "o5"), {"ordered_at": START, "status": "deleted"}, {4, 5}),
        (("customer_order", "o9"), {"ordered_at": START, "customer_source_id": "c2"}, {2}),
        (("product", "p4"), {"name": "Pencil"}, {4}),
        (("product", "p4"), {"name": "Pencil", "in_stock": False}, set()),
        (("product", "new"), {"name": "Quill"}, set()),
    ]
    snapshot.take(db, tmp_path, run_id="start", known_at=START + HOUR)
    for number, ((entity, key), values, expected) in enumerate(edits, start=1):
        land(db, entity, key, START + (2 * number) * HOUR, **values)
        db.commit()
        known_at = START + (2 * number + 1) * HOUR
        folder = snapshot.take(db, tmp_path, run_id=str(number), known_at=known_at)
        assert touched(folder) == expected, (entity, key)


def test_what_lands_late_from_a_load_that_was_open_is_touched(company, warehouse_url, tmp_path):
    with psycopg.connect(warehouse_url) as load:
        load.execute("SELECT now()")  # the load has begun: its rows will bear this moment
        first = snapshot.take(company, tmp_path, run_id="first")
        load.execute(
            """INSERT INTO landing.interaction (source, source_id, landed_at, run_id,
                   customer_source_id, happened_at, kind)
               VALUES ('shop', 'late', now(), 'r', '1', '2026-02-01', 'visit')"""
        )
    second = snapshot.take(company, tmp_path, run_id="second")
    assert snapshot.manifest(second)["previous"]["folder"] == str(first)
    assert len(read(second, "interaction")) == 2
    assert 1 in touched(second)


def test_a_record_that_joins_a_customer_touches_that_customer(company, tmp_path):
    snapshot.take(company, tmp_path, run_id="first")
    company.execute(
        """INSERT INTO landing.customer (source, source_id, landed_at, run_id, email)
           VALUES ('shop', '3', now(), 'r', 'ada@mail.test')"""
    )
    identity.resolve(company, run_id="r2")
    company.commit()
    assert 1 in touched(snapshot.take(company, tmp_path, run_id="second"))
