"""Who is on a list, in which group, since when; and what is said of a rule that cannot be run."""

from datetime import date, timedelta
from hashlib import md5
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from include import audiences
from include.audiences import Audience
from include.marts import IN_DATABASE, MARTS, fill, generations
from include.marts import audiences as lists
from tests.marts.test_generations import work

DAY = date(2026, 3, 1)
READ = ("dim_customer", "customer_profile")


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


def audience(rule: str, **other) -> Audience:
    """An audience that asks for no consent and has no control group, but for what is given."""
    said = {
        **{"name": "fans", "label": "Fans", "description": "Who buys much.", "owner": "marketing"},
        **{"purpose": "none", "control_share": 0, "outcome": "purchase", "horizon_days": 30},
        "rule": rule,
    }
    return Audience(**{**said, **other})


def begin(db, customers: dict[int, dict], days: int = 0) -> int:
    """A generation of these customers, ``days`` after DAY, with the tables that rules read."""
    day = DAY + timedelta(days)
    number = generations.begin(
        db, as_of=day, run_id=f"publish/{days}", data_to=None, stale_reason=None
    )
    for mart in READ:
        db.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES IN ({})").format(
                sql.Identifier("mart", f"{mart}__g{number}"), sql.Identifier("mart", mart), number
            )
        )
    for customer, columns in customers.items():
        for mart in READ:
            put(db, mart, {"generation": number, "as_of": day, "customer_id": customer, **columns})
    return number


NEEDED = {"segment_key": "s", "segment_name": "S", "rfm_segment": "loyal"}


def put(db, mart: str, row: dict) -> None:
    """One row; what it leaves out is null, or 0 or false if required."""
    types = dict(
        db.execute(
            """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = %s::regclass AND attnum > 0 AND attnotnull""",
            [f"mart.{mart}"],
        ).fetchall()
    )
    empty = {name: "f" if kind == "boolean" else "0" for name, kind in types.items()}
    known = {c.name for c in db.execute(f"SELECT * FROM mart.{mart} LIMIT 0").description}
    row = {n: v for n, v in {**empty, **NEEDED, **row}.items() if n in known}
    db.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier("mart", mart),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        ),
        list(row.values()),
    )


def filled(db, customers: dict[int, dict], *wanted: Audience, days: int = 0) -> int:
    """Publish the audiences of these customers; the generation that BI then reads."""
    number, day = begin(db, customers, days), DAY + timedelta(days)
    lists.fill(db, generation=number, as_of=day, wanted=wanted)
    generations.attach(db, generation=number, tables=["audience", "audience_member"])
    generations.point(db, number, "test")
    return number


def hashed(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def members(db) -> list[tuple]:
    return db.execute(
        "SELECT audience, customer_id, split_group FROM bi.audience_member ORDER BY 1, 2"
    ).fetchall()


def counts(db) -> list[tuple]:
    return db.execute(
        """SELECT audience, members, treatment, control, without_consent, problem
           FROM bi.audience ORDER BY 1"""
    ).fetchall()


def history(db, *rows: tuple) -> None:
    with db.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO mart.audience_member_history
                   (audience, customer_id, from_as_of, to_as_of, split_group)
               VALUES ('fans', %s, %s, %s, %s)""",
            rows,
        )


def test_the_members_are_those_of_whom_the_rule_holds(db):
    customers = {1: {"order_count": 9}, 2: {"order_count": 2}, 3: {"order_count": 5}}
    filled(db, customers, audience("order_count >= 5"))
    assert members(db) == [("fans", 1, "treatment"), ("fans", 3, "treatment")]
    assert counts(db) == [("fans", 2, 2, 0, 0, None)]


def test_a_rule_looks_into_other_views_of_the_same_generation(db):
    filled(db, {1: {"country": "NO"}, 2: {"country": "SE"}}, audience("true"))
    rule = "customer_id IN (SELECT customer_id FROM bi.customer_profile WHERE country LIKE 'N%')"
    filled(db, {2: {"country": "NO"}, 3: {"country": "SE"}}, audience(rule), days=1)
    assert members(db) == [("fans", 2, "treatment")]


@pytest.mark.parametrize(
    ("purpose", "on_it", "without"),
    [("marketing", [1, 2, 5], 2), ("personalisation", [1, 3, 5], 2), ("none", [1, 2, 3, 4, 5], 0)],
)
def test_who_refused_the_purpose_is_counted_and_left_out(db, purpose, on_it, without):
    said = {1: (True, True), 2: (True, False), 3: (False, True), 4: (False, False), 5: (None, None)}
    names = ("consent_marketing", "consent_personalisation")
    customers = {c: dict(zip(names, answers, strict=True)) for c, answers in said.items()}
    filled(db, customers, audience("true", purpose=purpose))
    assert [customer for _, customer, _ in members(db)] == on_it
    assert counts(db) == [("fans", len(on_it), len(on_it), 0, without, None)]


def test_where_no_source_maps_consent_the_domain_file_decides(db, monkeypatch):
    denied = lists.domains.load().model_copy(update={"consent_default": "denied"})
    monkeypatch.setattr(lists.domains, "load", lambda: denied)
    filled(db, {1: {}, 2: {"consent_marketing": True}}, audience("true", purpose="marketing"))
    assert counts(db) == [("fans", 1, 1, 0, 1, None)]


def test_staff_and_test_accounts_are_on_no_list(db):
    filled(db, {1: {"is_staff": True}, 2: {"is_test": True}, 3: {}}, audience("true"))
    assert members(db) == [("fans", 3, "treatment")]
    assert counts(db) == [("fans", 1, 1, 0, 0, None)]


def test_the_group_is_what_a_hash_says_that_anybody_can_work_out_again(db):
    filled(db, {customer: {} for customer in range(1, 201)}, audience("true", control_share=0.25))
    expected = [
        ("fans", c, "control" if int(hashed(f"fans:{c}")[:8], 16) / 2**32 < 0.25 else "treatment")
        for c in range(1, 201)
    ]
    assert members(db) == expected
    assert counts(db)[0][1:4] == (200, 158, 42)


def test_a_customer_stays_in_the_group_whatever_else_changes(db):
    filled(db, {customer: {} for customer in range(1, 41)}, audience("true", control_share=0.5))
    before = set(members(db))
    few = {customer: {"country": "NO"} for customer in range(20, 60)}
    filled(db, few, audience("country = 'NO'", control_share=0.5, label="Other"), days=3)
    after = {row for row in members(db) if row[1] <= 40}
    assert len(after) == 21
    assert after <= before


def test_more_control_moves_nobody_out_of_control(db):
    customers = {customer: {} for customer in range(1, 101)}
    filled(db, customers, audience("true", control_share=0.1))
    before = {c for _, c, group in members(db) if group == "control"}
    filled(db, customers, audience("true", control_share=0.3), days=1)
    assert before < {c for _, c, group in members(db) if group == "control"}


def test_since_is_the_first_day_of_the_unbroken_membership(db):
    day = {number: DAY + timedelta(number) for number in range(9)}
    history(
        db,
        (1, day[2], None, "treatment"),  # still there
        (2, day[1], day[4], "treatment"),  # was away in between
        (3, day[2], day[5], "treatment"),  # left by an earlier publish of this day
        (4, day[1], None, "control"),  # was in the other group
    )
    filled(db, {customer: {} for customer in range(1, 6)}, audience("true"), days=5)
    since = db.execute("SELECT since FROM bi.audience_member ORDER BY customer_id").fetchall()
    assert [(found - DAY).days for (found,) in since] == [2, 5, 2, 5, 5]


def test_a_rule_that_cannot_be_run_keeps_who_was_on_the_list_and_agrees(db):
    history(
        db,
        (1, DAY, None, "treatment"),
        (2, DAY, None, "treatment"),
        (3, DAY, DAY + timedelta(1), "treatment"),
    )
    customers = {1: {}, 2: {"consent_marketing": False}, 3: {}, 4: {}}
    broken = audience("ordercount > 3", purpose="marketing")
    filled(db, customers, broken, audience("customer_id = 4", name="other"), days=2)
    assert members(db) == [("fans", 1, "treatment"), ("other", 4, "treatment")]
    assert counts(db) == [
        ("fans", 1, 1, 0, 1, 'column "ordercount" does not exist'),
        ("other", 1, 1, 0, 0, None),
    ]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("1 / (order_count - 2) > 0", "division by zero"),
        ("country = (SELECT country FROM bi.dim_customer)", "more than one row returned by a sub"),
        ("order_count", "argument of WHERE must be type boolean, not type bigint"),
        ("country > 3", "operator does not exist: text > integer"),
    ],
)
def test_what_the_database_says_of_a_rule_is_told(db, rule, problem):
    filled(db, {1: {"order_count": 2}, 2: {"order_count": 2}}, audience(rule))
    assert counts(db)[0][-1].startswith(problem)


def test_a_rule_that_takes_too_long_is_stopped(db, monkeypatch):
    monkeypatch.setattr(lists, "PATIENCE_S", 0.2)
    endless = " AND ".join(f"EXISTS (SELECT FROM bi.dim_customer AS d{n})" for n in range(2))
    cross = ", ".join(f"bi.dim_customer AS d{n}" for n in range(9))
    filled(
        db,
        {customer: {} for customer in range(30)},
        audience(f"{endless} AND 1 < (SELECT count(*) FROM {cross})"),
        audience("customer_id = 7", name="other"),
    )
    assert [(row[1], row[-1]) for row in counts(db)] == [
        (0, "canceling statement due to statement timeout"),
        (1, None),
    ]


def test_filling_again_gives_the_same_rows(db):
    number = begin(db, {customer: {} for customer in range(1, 30)})
    wanted = [audience("customer_id < 9", control_share=0.3)]
    assert lists.fill(db, generation=number, as_of=DAY, wanted=wanted) == 8
    assert lists.fill(db, generation=number, as_of=DAY, wanted=wanted) == 8
    generations.attach(db, generation=number, tables=["audience", "audience_member"])
    assert lists.fill(db, generation=number, as_of=DAY, wanted=[]) == 8
    generations.point(db, number, "test")
    assert len(members(db)) == 8


def test_the_audiences_of_the_repository_can_be_run(db):
    wanted = audiences.load()
    filled(
        db,
        {
            1: {"rfm_segment": "at_risk", "revenue": 900, "order_count": 9, "recency_days": 200},
            2: {"rfm_segment": "loyal", "revenue": 100, "order_count": 1, "recency_days": 30},
            3: {"rfm_segment": "champions", "revenue": 500, "order_count": 5, "recency_days": 9}
            | {"top_category": "tea", "top_need_category": "tea"},
            4: {"rfm_segment": "prospect", "signup_date": DAY - timedelta(30)},
        },
        *wanted,
    )
    assert [(name, customer) for name, customer, _ in members(db)] == [
        ("category_fans", 3),
        ("second_purchase", 2),
        ("sleeping_newcomers", 4),
        ("vip_early_access", 3),
        ("win_back", 1),
    ]
    assert [row[-1] for row in counts(db)] == [None] * len(wanted)


def published(db, folder: Path, run: int, members: set[int], days: int, **other) -> None:
    """The whole publish of a day after DAY on which these of nine customers are on the list."""
    day = DAY + timedelta(days)
    files = work(folder, {customer: f"s{customer in members}" for customer in range(1, 10)}, day)
    number = generations.begin(
        db, as_of=day, run_id=f"publish/{run}", data_to=None, stale_reason=None
    )
    for mart in MARTS:
        fill.fill(db, mart, generation=number, as_of=day, work=files, folder=files)
    generations.attach(db, generation=number, tables=MARTS)
    wanted = [audience(**{"rule": "segment_key = 'sTrue'", **other})]
    lists.fill(db, generation=number, as_of=day, wanted=wanted)
    generations.attach(db, generation=number, tables=IN_DATABASE)
    generations.switch(db, generation=number, as_of=day, run_id=f"publish/{run}")


def kept(db) -> list[tuple]:
    return db.execute(
        """SELECT customer_id, split_group, from_as_of - %(day)s, to_as_of - %(day)s
           FROM bi.audience_member_history ORDER BY 1, 3""",
        {"day": DAY},
    ).fetchall()


def test_who_enters_and_leaves_is_written_down_by_the_publish(db, tmp_path):
    published(db, tmp_path, 1, {1, 2}, days=0)
    published(db, tmp_path, 2, {1}, days=1)
    published(db, tmp_path, 3, {1, 2, 3}, days=4)
    assert kept(db) == [
        (1, "treatment", 0, None),
        (2, "treatment", 0, 1),
        (2, "treatment", 4, None),
        (3, "treatment", 4, None),
    ]
    since = db.execute("SELECT customer_id, since FROM bi.audience_member ORDER BY 1").fetchall()
    assert [(customer, (day - DAY).days) for customer, day in since] == [(1, 0), (2, 4), (3, 4)]


def test_a_day_that_is_published_again_says_what_is_said_last(db, tmp_path):
    published(db, tmp_path, 1, {1, 2, 3}, days=0)
    published(db, tmp_path, 2, {1, 4}, days=1)
    published(db, tmp_path, 3, {1, 2}, days=1)
    assert kept(db) == [
        (1, "treatment", 0, None),
        (2, "treatment", 0, None),
        (3, "treatment", 0, 1),
    ]
    since = db.execute("SELECT customer_id, since FROM bi.audience_member ORDER BY 1").fetchall()
    assert since == [(1, DAY), (2, DAY)]


def test_a_larger_control_group_is_written_down_as_another_group(db, tmp_path):
    published(db, tmp_path, 1, {1, 4, 5}, days=0)
    published(db, tmp_path, 2, {1, 4, 5}, days=2, control_share=0.5)
    assert kept(db) == [
        (1, "treatment", 0, 2),
        (1, "control", 2, None),
        (4, "treatment", 0, None),
        (5, "treatment", 0, None),
    ]


def test_a_rule_that_cannot_be_run_closes_no_membership(db, tmp_path):
    published(db, tmp_path, 1, {1, 2}, days=0)
    published(db, tmp_path, 2, {1}, days=1, rule="segmentkey = 'sTrue'")
    published(db, tmp_path, 3, {2}, days=2)
    assert kept(db) == [(1, "treatment", 0, 2), (2, "treatment", 0, None)]
