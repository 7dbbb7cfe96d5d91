"""Identities in a real database: normalised, stable, nothing personal, nothing written twice."""

import itertools
import random

import pytest

from include import identity
from include.identity import Counts

COLUMNS = ("person_key", "first_name", "last_name", "full_name", "email", "phone", "country")
_batch = itertools.count()


@pytest.fixture
def landing(warehouse):
    """The warehouse, with room for the records of any source."""
    warehouse.execute("CREATE TABLE landing.customer_any PARTITION OF landing.customer DEFAULT")
    warehouse.commit()
    return warehouse


def land(db, *records: dict) -> None:
    """Put records into landing.customer; ``id`` is source:source_id."""
    for record in records:
        source, _, source_id = record["id"].partition(":")
        values = [record.get(column) for column in COLUMNS]
        db.execute(
            f"""INSERT INTO landing.customer
                (source, source_id, {", ".join(COLUMNS)}, landed_at, run_id)
                VALUES ({", ".join(["%s"] * (2 + len(values)))}, now(), 'r')
                ON CONFLICT (source, source_id) DO UPDATE SET
                {", ".join(f"{column} = excluded.{column}" for column in COLUMNS)}""",
            [source, source_id, *values],
        )


def people(db) -> dict[str, int]:
    """customer_id by record, after resolving."""
    identity.resolve(db, run_id=f"run {next(_batch)}")
    rows = db.execute(
        "SELECT source || ':' || source_id, customer_id FROM core.identity ORDER BY 1"
    )
    return dict(rows.fetchall())


def events(db) -> list[tuple]:
    return db.execute(
        "SELECT event, customer_id, other_customer_id, records, reason FROM core.identity_event"
        " ORDER BY at"
    ).fetchall()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"email": " Ada@Mail.Test "}, {"email": "ada@mail.test"}),
        ({"person_key": "crm:7"}, {"person_key": "crm:7 "}),
        ({"phone": "+49 (170) 123-4567"}, {"phone": "0170 1234567 ext. 89"}),
        (
            {"phone": "01701234567", "last_name": "Müßig"},
            {"phone": "01701234567", "full_name": "Ida MUSSIG"},
        ),
        (
            {"phone": "01701234567", "last_name": "O'Neil"},
            {"phone": "01701234567", "full_name": "oneil, Pat"},
        ),
    ],
)
def test_one_person_written_in_two_ways(landing, one, other):
    land(landing, {"id": "a:1"} | one, {"id": "b:1"} | other)
    assert people(landing) == {"a:1": 1, "b:1": 1}


@pytest.mark.parametrize(
    "shared",
    [
        {"email": ""},
        {"email": "n/a"},
        {"email": "noreply@mail.test"},
        {"email": "two words@mail.test"},
        {"person_key": "crm:"},
        {"person_key": "crm:0"},
        {"person_key": "crm:NULL"},
        {"phone": "12345678"},
        {"phone": "0000000000"},
        {"phone": "+49 123456789"},
        {"phone": "unknown"},
    ],
)
def test_a_placeholder_joins_nobody(landing, shared):
    land(landing, {"id": "a:1"} | shared, {"id": "b:1"} | shared)
    assert people(landing) == {"a:1": 1, "b:1": 2}


def test_dots_of_a_mail_address_are_kept(landing):
    land(landing, {"id": "a:1", "email": "a.b@mail.test"}, {"id": "a:2", "email": "ab@mail.test"})
    assert people(landing) == {"a:1": 1, "a:2": 2}


def test_a_phone_joins_no_two_last_names(landing):
    one, other = {"last_name": "Abel"}, {"last_name": "Kain"}
    land(
        landing,
        {"id": "a:1", "phone": "01701234567"} | one,
        {"id": "b:1", "phone": "01701234567"} | other,
    )
    assert people(landing) == {"a:1": 1, "b:1": 2}


def test_an_address_of_more_than_twenty_records_joins_nobody(landing):
    land(landing, *({"id": f"a:{n}", "email": "desk@mail.test"} for n in range(20)))
    assert set(people(landing).values()) == {1}
    land(landing, {"id": "a:20", "email": "desk@mail.test"})
    assert len(set(people(landing).values())) == 21


def test_two_person_keys_of_one_namespace_stay_apart_over_a_chain(landing):
    land(
        landing,
        {"id": "a:1", "person_key": "crm:1", "email": "ada@mail.test"},
        {"id": "b:1", "email": "ada@mail.test", "phone": "01701234567"},
        {"id": "b:2", "person_key": "crm:2", "phone": "01701234567"},
    )
    assert people(landing) == {"a:1": 1, "b:1": 1, "b:2": 2}


def test_person_keys_of_two_namespaces_are_joined_by_an_email(landing):
    land(
        landing,
        {"id": "a:1", "person_key": "crm:1", "email": "ada@mail.test"},
        {"id": "b:1", "person_key": "web:9", "email": "ada@mail.test"},
    )
    assert people(landing) == {"a:1": 1, "b:1": 1}


def test_a_merge_and_its_end(landing):
    land(landing, {"id": "a:1", "email": "ada@mail.test"}, {"id": "b:1", "email": "old@mail.test"})
    assert people(landing) == {"a:1": 1, "b:1": 2}
    land(landing, {"id": "b:1", "email": "ada@mail.test"})
    assert people(landing) == {"a:1": 1, "b:1": 1}
    land(landing, {"id": "a:1", "email": "new@mail.test"})
    assert people(landing) == {"a:1": 1, "b:1": 2}
    assert events(landing) == [
        ("merged", 2, 1, 1, "joined by email"),
        ("split", 1, 2, 1, "no key links them to the customer's first record any more"),
    ]


def test_the_identity_known_at_a_moment_can_be_asked(landing):
    land(landing, {"id": "a:1", "email": "ada@mail.test"}, {"id": "b:1", "email": "old@mail.test"})
    moments = [_now(landing)]
    people(landing)
    moments.append(_now(landing))
    land(landing, {"id": "b:1", "email": "ada@mail.test"})
    people(landing)
    moments.append(_now(landing))
    assert [_known(landing, moment) for moment in moments] == [
        {},
        {"a:1": (1, "alone"), "b:1": (2, "alone")},
        {"a:1": (1, "email"), "b:1": (1, "email")},
    ]


def _now(db):
    return db.execute("SELECT clock_timestamp()").fetchone()[0]


def _known(db, moment) -> dict[str, tuple[int, str]]:
    rows = db.execute(
        """SELECT source || ':' || source_id, customer_id, rule FROM core.identity
           WHERE since <= %(at)s UNION ALL
           SELECT source || ':' || source_id, customer_id, rule FROM core.identity_history
           WHERE valid_from <= %(at)s AND valid_to > %(at)s ORDER BY 1""",
        {"at": moment},
    )
    return {record: (customer_id, rule) for record, customer_id, rule in rows}


def test_deleted_and_vanished_records_keep_their_customer(landing):
    land(landing, {"id": "a:1", "email": "ada@mail.test"}, {"id": "b:1", "email": "ada@mail.test"})
    people(landing)
    landing.execute("UPDATE landing.customer SET deleted_at = now() WHERE source = 'a'")
    assert people(landing) == {"a:1": 1, "b:1": 1}
    landing.execute("DELETE FROM landing.customer WHERE source = 'a'")
    assert people(landing) == {"a:1": 1, "b:1": 1}
    land(landing, {"id": "c:1", "email": "ada@mail.test"})
    assert people(landing) == {"a:1": 1, "b:1": 1, "c:1": 1}


def test_an_empty_landing_has_no_people(landing):
    assert identity.resolve(landing, run_id="r") == Counts(0, 0, 0, 0, 0)


def test_counts_and_rules(landing):
    land(
        landing,
        {"id": "a:1", "person_key": "crm:1", "email": "ada@mail.test"},
        {"id": "b:1", "person_key": "crm:1"},
        {"id": "b:2", "email": "ada@mail.test", "phone": "01701234567"},
        {"id": "b:3", "phone": "01701234567"},
        {"id": "b:4"},
    )
    assert identity.resolve(landing, run_id="r") == Counts(
        records=5, customers=2, new=2, merged=0, split=0
    )
    assert landing.execute(
        "SELECT source, source_id, customer_id, rule, probability FROM core.identity ORDER BY 1, 2"
    ).fetchall() == [
        ("a", "1", 1, "person_key", 1.0),
        ("b", "1", 1, "person_key", 1.0),
        ("b", "2", 1, "email", 1.0),
        ("b", "3", 1, "phone", 1.0),
        ("b", "4", 2, "alone", 1.0),
    ]


def test_a_second_run_writes_no_row(landing):
    land(landing, {"id": "a:1", "email": "ada@mail.test"}, {"id": "b:1", "email": "ada@mail.test"})
    people(landing)
    versions = """SELECT 'i', xmin::text, xmax::text, ctid::text FROM core.identity UNION ALL
        SELECT 'c', xmin::text, xmax::text, ctid::text FROM core.customer ORDER BY 1, 4"""
    before = landing.execute(versions).fetchall()
    landing.commit()
    people(landing)
    assert landing.execute(versions).fetchall() == before


def test_a_failure_leaves_everything_as_it_was(landing):
    land(landing, {"id": "a:1", "email": "ada@mail.test"})
    before = people(landing)
    landing.commit()
    land(landing, {"id": "b:1", "email": "ada@mail.test"})
    landing.execute("ALTER TABLE core.customer ADD CHECK (customer_id < 2)")
    land(landing, {"id": "c:1"})
    landing.commit()
    with pytest.raises(Exception, match="check constraint"):
        identity.resolve(landing, run_id="r")
    rows = landing.execute("SELECT source || ':' || source_id, customer_id FROM core.identity")
    assert dict(rows.fetchall()) == before


def test_no_personal_data_in_core_or_the_log(landing, caplog):
    caplog.set_level("DEBUG")
    land(
        landing,
        {"id": "a:1", "email": "ada@mail.test", "phone": "01701234567", "last_name": "Lovelace"},
        {"id": "b:1", "email": "ada@mail.test"},
    )
    people(landing)
    land(landing, {"id": "b:1", "email": "eva@mail.test"})
    people(landing)
    kept = "".join(
        str(landing.execute(f"SELECT * FROM core.{table}").fetchall())
        for table in ("identity", "customer", "identity_event")
    )
    for word in ("ada", "eva", "mail.test", "1234567", "lovelace"):
        assert word not in (kept + caplog.text).lower()


def _some_records(seed: int, count: int = 60) -> list[dict]:
    """Records that share keys now and then, over three sources."""
    draw = random.Random(seed)  # noqa: S311
    names = ["Abel", "Kain", "Noah", None]
    return [
        {
            "id": f"{'abc'[n % 3]}:{n}",
            "person_key": draw.choice([None, f"crm:{draw.randrange(30)}", f"web:{n // 2}"]),
            "email": draw.choice([None, f"p{draw.randrange(30)}@mail.test"]),
            "phone": draw.choice([None, f"0170 55{draw.randrange(1000, 1012)}1"]),
            "last_name": draw.choice(names),
        }
        for n in range(count)
    ]


def _persons(ids: dict[str, int]) -> set[frozenset[str]]:
    persons: dict[int, set[str]] = {}
    for record, customer_id in ids.items():
        persons.setdefault(customer_id, set()).add(record)
    return {frozenset(records) for records in persons.values()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_batches_in_any_order_give_the_people_of_one_load(landing, seed):
    records = _some_records(seed)
    land(landing, *records)
    at_once = people(landing)
    landing.execute("TRUNCATE landing.customer, core.identity, core.customer")
    shuffled = random.Random(seed).sample(records, len(records))  # noqa: S311
    for start in range(0, len(shuffled), 20):
        land(landing, *shuffled[start : start + 20])
        in_batches = people(landing)
    assert _persons(in_batches) == _persons(at_once)
    assert people(landing) == in_batches
    landing.execute("TRUNCATE core.identity, core.customer")
    assert people(landing) == at_once
