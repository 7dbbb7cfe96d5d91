"""Records that no key joins: likeness links them, a person decides, and nothing is told twice."""

import json
import random
from itertools import count

import pytest

from include import identity
from include.errors import InputError
from include.identity import review
from tests.identity.test_resolve import _persons, landing  # noqa: F401

COLUMNS = ("first_name", "last_name", "email", "phone", "birth_date", "street", "city")
FIRST = ["Ada", "Bruno", "Carla", "Dimitri", "Elif", "Farah", "Gustav", "Hana", "Ivo", "Jolanda"]
LAST = ["Abel", "Brandt", "Costa", "Dahl", "Evans", "Falk", "Grimm", "Holt", "Ibsen", "Jansen"]
CITY = ["Oslo", "Bergen", "Ulm", "Genf", "Porto", "Lyon"]
_runs = count()


def person(number: int) -> dict:
    draw = random.Random(number)  # noqa: S311
    return {
        "first_name": draw.choice(FIRST),
        "last_name": draw.choice(LAST) + draw.choice(("", "sen", "berg", "feld", "mann")),
        "email": f"p{number}@mail.test",
        "phone": f"0170 {1000000 + 37 * number}",
        "birth_date": f"19{draw.randrange(40, 99)}-{draw.randrange(1, 13):02}-"
        f"{draw.randrange(1, 29):02}",
        "street": f"{draw.randrange(1, 200)} {draw.choice(LAST)} Road",
        "city": draw.choice(CITY),
    }


def town(people: int = 400) -> list[dict]:
    """Two records each of most people: the second by another e-mail, phone or spelling."""
    records = []
    for number in range(people):
        one, draw = person(number), random.Random(-number)  # noqa: S311
        records.append({"id": f"shop:{number}", **one})
        other = {"id": f"desk:{number}", **one}
        if draw.random() < 0.5:
            other |= {"email": f"new{number}@mail.test", "phone": None}
        if draw.random() < 0.2:
            name = one["last_name"]
            other["last_name"] = name[0] + name[2] + name[1] + name[3:]
        if number % 5:
            records.append(other)
    return records


def land(db, records: list[dict]) -> None:
    with db.cursor() as cursor:
        cursor.executemany(
            f"""INSERT INTO landing.customer (source, source_id, {", ".join(COLUMNS)},
                    landed_at, run_id)
                VALUES (%s, %s, {", ".join(["%s"] * len(COLUMNS))}, now(), 'r')
                ON CONFLICT (source, source_id) DO UPDATE SET
                {", ".join(f"{column} = excluded.{column}" for column in COLUMNS)}""",
            [
                [*record["id"].split(":"), *(record.get(column) for column in COLUMNS)]
                for record in records
            ],
        )


def people(db) -> dict[str, int]:
    """customer_id by record that is in landing, after resolving."""
    identity.resolve(db, run_id=f"run {next(_runs)}")
    rows = db.execute("""SELECT source || ':' || source_id, customer_id
        FROM core.identity JOIN landing.customer USING (source, source_id)""")
    return dict(rows.fetchall())


@pytest.fixture
def towns(landing):  # noqa: F811
    """A town that has been resolved once."""
    land(landing, town())
    people(landing)
    landing.commit()
    return landing


def ids(db, *records: str) -> list[int]:
    rows = db.execute("SELECT source || ':' || source_id, customer_id FROM core.identity")
    known = dict(rows.fetchall())
    return [known[record] for record in records]


def test_another_address_and_a_slip_of_the_pen_are_still_the_person(towns):
    twice = [n for n in range(400) if n % 5]
    same = [len({*ids(towns, f"shop:{n}", f"desk:{n}")}) == 1 for n in twice[:60]]
    assert sum(same) >= 57


def test_every_likely_link_has_its_evidence_and_no_value(towns):
    rows = towns.execute(
        """SELECT i.rule, i.probability, max(e.probability), count(e.*) FROM core.identity i
           LEFT JOIN core.identity_evidence e ON (i.source, i.source_id) IN
               ((e.source, e.source_id), (e.other_source, e.other_source_id))
           WHERE i.rule = 'probable' GROUP BY i.source, i.source_id"""
    ).fetchall()
    assert len(rows) > 50
    assert all(row[3] >= 1 and row[1] >= 0.9 and row[2] >= row[1] - 1e-6 for row in rows)
    kept = [
        towns.execute(f"SELECT * FROM {table}").fetchall()
        for table in ("core.identity_evidence", "ops.identity_review", "ops.identity_model",
                      "ops.identity_compared", "core.identity", "core.identity_history")
    ]  # fmt: skip
    said = json.dumps(kept, default=str).lower()
    assert not [word for word in ("brandt", "mail.test", "jolanda", " road") if word in said]


def test_a_second_run_compares_and_changes_nothing(towns, caplog):
    caplog.set_level("INFO")
    before = towns.execute("SELECT *, xmin::text FROM core.identity_evidence ORDER BY 1, 2, 3, 4")
    rows = before.fetchall()
    people(towns)
    again = towns.execute("SELECT *, xmin::text FROM core.identity_evidence ORDER BY 1, 2, 3, 4")
    assert again.fetchall() == rows
    assert "0 pairs weighed" in caplog.text


@pytest.mark.parametrize("seed", [1, 2])
def test_batches_in_any_order_give_the_people_of_one_load(towns, seed):
    at_once = people(towns)
    records = random.Random(seed).sample(town(), len(town()))  # noqa: S311
    towns.execute("""TRUNCATE landing.customer, core.identity, core.customer,
        core.identity_evidence, ops.identity_compared""")  # what was learnt stays
    for start in range(0, len(records), 300):
        land(towns, records[start : start + 300])
        in_batches = people(towns)
    assert _persons(in_batches) == _persons(at_once)


def evidence(db) -> list[tuple]:
    return db.execute(
        """SELECT source, source_id, other_source, other_source_id, weight, probability,
               weights::text FROM core.identity_evidence ORDER BY 1, 2, 3, 4"""
    ).fetchall()


def from_nothing(db) -> tuple[set[frozenset[str]], list[tuple]]:
    """People and evidence of a run that remembers nothing but what was learnt."""
    db.execute("""TRUNCATE core.identity, core.customer, core.identity_evidence,
        ops.identity_compared""")
    return _persons(people(db)), evidence(db)


def desk(first: int, last: int) -> list[dict]:
    """People who share a number, a street and a birth date with all others of the desk."""
    shared = {"phone": "0170 7777770", "street": "1 Desk Road", "birth_date": "1980-01-01"}
    return [{"id": f"till:{n}", **person(n), **shared} for n in range(first, last)]


def reception(first: int, last: int) -> list[dict]:
    """Records of which nothing is known but one address."""
    return [{"id": f"till:{n}", "email": "desk@mail.test"} for n in range(first, last)]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([reception(500, 522), reception(522, 524)], id="two more of too many"),
        pytest.param([reception(500, 519), reception(519, 522)], id="too many from now on"),
        pytest.param([desk(500, 515), desk(515, 530)], id="a number becomes too frequent"),
        pytest.param([desk(500, 525), town()[:40]], id="records as they were"),
        pytest.param(
            [desk(500, 525), [{"id": f"till:{n}", **person(n)} for n in range(500, 510)]],
            id="a number is frequent no more",
        ),
        pytest.param([desk(500, 540), desk(540, 570)], id="a block grows too large"),
        pytest.param(
            [[{"id": f"shop:{n}", **person(n + 7)} for n in range(0, 200, 3)]],
            id="records become others",
        ),
    ],
)
def test_what_is_kept_gives_the_evidence_of_a_run_from_nothing(towns, steps):
    for step in steps:
        land(towns, step)
        people(towns)
    towns.execute("DELETE FROM landing.customer WHERE source = 'desk' AND source_id < '2'")
    kept = _persons(people(towns)), evidence(towns)
    assert kept == from_nothing(towns)


def test_a_warehouse_that_kept_no_hashes_is_compared_once_more(towns):
    at_once = people(towns), evidence(towns)
    towns.execute("""UPDATE ops.identity_compared
        SET content = 0, record = NULL, landed = NULL, hashes = NULL""")
    assert (people(towns), evidence(towns)) == at_once
    kept = towns.execute("SELECT count(*), count(hashes) FROM ops.identity_compared").fetchone()
    assert kept == (720, 720)


def test_another_limit_of_records_a_key_holds_for_records_that_did_not_change(towns):
    rules = "SELECT rule, count(*) FROM core.identity GROUP BY 1 ORDER BY 1"
    assert "email" in dict(towns.execute(rules).fetchall())
    identity.resolve(towns, run_id="another", max_records_per_key=1)
    assert "email" not in dict(towns.execute(rules).fetchall())


def test_an_address_joins_once_the_record_that_spoke_against_it_has_another(towns):
    land(towns, [{"id": f"{source}:1", "email": "x@mail.test"} for source in "abc"])
    towns.execute("""UPDATE landing.customer SET person_key = 'crm:' || source
        WHERE source IN ('a', 'b')""")
    people(towns)
    assert len({*ids(towns, "a:1", "b:1", "c:1")}) == 3
    towns.execute("UPDATE landing.customer SET email = 'y@mail.test' WHERE source = 'b'")
    people(towns)
    a, b, c = ids(towns, "a:1", "b:1", "c:1")
    assert a == c != b


def test_what_a_person_split_stays_apart_and_what_they_confirm_stays_one(towns):
    n = next(n for n in range(400) if n % 5 and len({*ids(towns, f"shop:{n}", f"desk:{n}")}) == 1)
    review.decide(towns, f"shop:{n}", f"desk:{n}", "split", by="a test")
    review.decide(towns, "shop:0", "shop:5", "confirmed", by="a test")
    people(towns)
    people(towns)
    assert len({*ids(towns, f"shop:{n}", f"desk:{n}")}) == 2
    assert len({*ids(towns, "shop:0", "shop:5")}) == 1
    rule = "SELECT rule FROM core.identity WHERE (source, source_id) = ('shop', '5')"
    assert towns.execute(rule).fetchone() == ("confirmed",)
    told = towns.execute("SELECT event, reason FROM core.identity_event ORDER BY event").fetchall()
    assert told == [
        ("merged", "joined by confirmed"),
        ("split", "a person said that they are two"),
    ]


DOUBTFUL = """SELECT source || ':' || source_id, other_source || ':' || other_source_id
    FROM bi.identity_review WHERE status = 'open' ORDER BY 1, 2"""


@pytest.fixture
def waiting(towns) -> list[tuple[str, str]]:
    """Pairs that wait for a person: a name, a town and another number, it may be they."""
    for n in range(0, 100, 5):
        one = {name: person(n)[name] for name in ("first_name", "last_name", "city")}
        land(towns, [{"id": f"till:{n}", "phone": f"0171 {2000000 + 41 * n}", **one}])
    people(towns)
    found = towns.execute(DOUBTFUL).fetchall()
    assert found
    return found


def test_the_doubtful_wait_until_they_are_decided(towns, waiting):
    review.decide(towns, *waiting[0], "confirmed", by="a test")
    people(towns)
    assert waiting[0] not in towns.execute(DOUBTFUL).fetchall()
    assert len({*ids(towns, *waiting[0])}) == 1


def test_nobody_is_asked_about_two_whose_ids_say_that_they_are_two(towns, waiting):
    for number, record in enumerate(waiting[0]):
        towns.execute(
            "UPDATE landing.customer SET person_key = %s WHERE source || ':' || source_id = %s",
            [f"member:{number}", record],
        )
    people(towns)
    assert waiting[0] not in towns.execute(DOUBTFUL).fetchall()


def test_a_record_that_is_not_there_cannot_be_decided(towns):
    with pytest.raises(InputError, match="review: shop:x and shop:1 are not two records"):
        review.decide(towns, "shop:x", "shop:1", "split", by="a test")


def test_two_ids_of_one_system_cannot_be_said_to_be_one_person(towns):
    for source, source_id, key in [
        ("shop", "0", "member:1"), ("shop", "5", "member:2"), ("desk", "1", "card:1"),
    ]:  # fmt: skip
        towns.execute(
            "UPDATE landing.customer SET person_key = %s WHERE (source, source_id) = (%s, %s)",
            [key, source, source_id],
        )
    with pytest.raises(InputError, match="shop:0 and shop:5 have different ids of one system"):
        review.decide(towns, "shop:0", "shop:5", "confirmed", by="a test")
    review.decide(towns, "shop:0", "shop:5", "split", by="a test")
    review.decide(towns, "shop:0", "desk:1", "confirmed", by="a test")
