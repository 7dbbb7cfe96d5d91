"""What a contact has brought, by hand and on planted shops."""

import math
import random
from datetime import date, timedelta

import numpy as np
import psycopg
import pyarrow.parquet as pq
import pytest

from include.marts import lift
from include.marts.lift import Group
from tests.marts.test_audiences import audience
from tests.snapshots import write_snapshot

DAY = date(2026, 3, 1)
END = DAY + timedelta(30)


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


def entered(db, *rows: tuple) -> None:
    """(customer, group, from, to) of the audience fans, as days after DAY."""
    with db.cursor() as cursor, cursor.copy(
        """COPY mart.audience_member_history
           (audience, customer_id, split_group, from_as_of, to_as_of) FROM STDIN"""
    ) as sink:  # fmt: skip
        for customer, group, *days in rows:
            dates = [None if n is None else DAY + timedelta(n) for n in days]
            sink.write_row(["fans", customer, group, *dates])


def shop(folder, *lines: tuple, end: int = 30):
    """A snapshot with (customer, day after DAY, amount) as lines, whose orders end with ``end``."""
    rows = [
        {
            "customer_id": customer,
            "order_id": f"{number}",
            "product_id": "p",
            "ordered_on": DAY + timedelta(day),
            "quantity": 1 if amount > 0 else -1,
            "unit_price": abs(amount),
        }
        for number, (customer, day, amount) in enumerate([*lines, (0, end - 1, 1)])
    ]
    people = [{"customer_id": customer} for customer in range(1, 5000)]
    return write_snapshot(folder, order_line=rows, customer=people)


def told(db, folder, as_of=END, horizon_days=30) -> list[dict]:
    """The rows of the file, one a dict, by outcome."""
    wanted = [audience("true", horizon_days=horizon_days)]
    lift.lift(db, folder, as_of, folder / "work", wanted=wanted)
    return pq.read_table(folder / "work" / "lift.parquet").to_pylist()


@pytest.mark.parametrize(
    ("one", "other", "interval"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((10, 10), (0, 10), (0.6075, 1.0000)),
    ],
)
def test_the_interval_of_two_shares_is_that_of_the_paper(one, other, interval):
    assert lift.newcombe(one, other) == pytest.approx(interval, abs=5e-5)


def test_the_interval_of_two_means_is_that_of_welch():
    # by hand: error = sqrt(16 / 4 + 9 / 9) = sqrt(5); freedom = 25 / (16 / 3 + 1 / 8) = 600 / 131,
    # between 4 (t = 2.7764) and 5 (t = 2.5706)
    low, high = lift.welch(Group(4, 0, 20.0, 16.0), Group(9, 0, 18.0, 9.0))
    assert (low + high) / 2 == pytest.approx(2)
    assert 2.5706 < (high - 2) / math.sqrt(5) < 2.7764
    assert high == pytest.approx(2 + 2.6433 * math.sqrt(5), abs=1e-3)


def test_of_few_buyers_revenue_has_no_interval():
    purchase, revenue = lift.compared(Group(90, 45, 20.0, 9.0), Group(90, 29, 15.0, 9.0))
    assert purchase["difference_low"] < purchase["difference"] < purchase["difference_high"]
    assert revenue["difference"] == 5
    assert math.isnan(revenue["difference_low"])
    assert math.isnan(revenue["difference_high"])


def test_where_all_pay_the_same_revenue_has_no_interval():
    assert all(map(math.isnan, lift.welch(Group(40, 40, 9.0, 0.0), Group(40, 40, 9.0, 0.0))))


def test_an_entry_counts_what_was_bought_within_its_horizon(db, tmp_path):
    treated = [(customer, "treatment", 0, None) for customer in range(1, 61)]
    kept = [(customer, "control", 0, 5) for customer in range(101, 161)]
    entered(db, *treated, *kept)
    folder = shop(
        tmp_path,
        *((customer, 0, 10) for customer in range(1, 31)),  # on the day of entry
        *((customer, 29, 5) for customer in range(16, 46)),  # on the last day
        *((customer, -1, 99) for customer in range(1, 61)),  # before it
        *((customer, 30, 99) for customer in range(1, 61)),  # after it
        *((customer, 3, -6) for customer in range(46, 51)),  # a return only
        *((customer, 9, 8) for customer in range(101, 131)),
        end=31,
    )
    purchase, revenue = told(db, folder)
    known = {
        "audience": "fans",
        "horizon_days": 30,
        "entered_from": DAY,
        "entered_to": DAY,
        "treatment_customers": 60,
        "control_customers": 60,
    }
    low, high = lift.newcombe((45, 60), (30, 60))
    assert purchase == known | {
        "outcome": "purchase",
        "treatment_value": 0.75,
        "control_value": 0.5,
        "difference": 0.25,
        "difference_low": pytest.approx(low),
        "difference_high": pytest.approx(high),
    }
    # 15 x 10, 15 x 15, 15 x 5, 5 x -6, 10 x 0 against 30 x 8, 30 x 0
    squares = 15 * 100 + 15 * 225 + 15 * 25 + 5 * 36 - 60 * 49, 30 * 64 - 60 * 16
    means = (7.0, 4.0)
    groups = [Group(60, 0, m, s / 59) for m, s in zip(means, squares, strict=True)]
    low, high = lift.welch(*groups)
    assert revenue == known | {
        "outcome": "revenue",
        "treatment_value": 7.0,
        "control_value": 4.0,
        "difference": 3.0,
        "difference_low": pytest.approx(low),
        "difference_high": pytest.approx(high),
    }


def test_of_few_entries_only_their_number_is_told(db, tmp_path):
    entered(
        db,
        *((customer, "treatment", 0, None) for customer in range(1, 41)),
        *((customer, "control", 0, None) for customer in range(101, 130)),
    )
    for row in told(db, shop(tmp_path, (1, 3, 5))):
        assert (row["treatment_customers"], row["control_customers"]) == (40, 29)
        assert row["treatment_value"] is not None
        missing = ("control_value", "difference", "difference_low", "difference_high")
        assert [row[name] for name in missing] == [None] * 4


def test_nothing_is_told_before_a_horizon_has_passed(db, tmp_path):
    entered(db, (1, "treatment", 1, None))
    assert told(db, shop(tmp_path)) == []
    names = pq.read_schema(tmp_path / "work" / "lift.parquet").names
    assert names[:3] == ["audience", "outcome", "horizon_days"]
    assert names[-1] == "difference_high"


def test_of_a_silent_source_nobody_is_said_not_to_have_bought(db, tmp_path):
    entered(db, (1, "treatment", 0, None))
    folder = shop(tmp_path, end=29)
    assert told(db, folder, as_of=END + timedelta(60)) == []


def test_who_enters_again_counts_again_and_who_stays_counts_once(db, tmp_path):
    entered(
        db,
        *((customer, "treatment", 0, None) for customer in range(1, 31)),
        (1, "treatment", -50, -20),
        (2, "treatment", -90, -40),
    )
    purchase, _ = told(db, shop(tmp_path, (1, -45, 1), (1, 5, 1), (2, 5, 1)))
    assert purchase["treatment_customers"] == 32
    assert purchase["treatment_value"] == pytest.approx(3 / 32)
    assert purchase["entered_from"] == DAY - timedelta(90)


def test_who_changed_group_within_the_horizon_counts_in_neither(db, tmp_path):
    entered(
        db,
        (1, "treatment", 0, 20), (1, "control", 20, None),
        (2, "treatment", -60, -25), (2, "control", -25, None),
        (3, "control", 0, None),
    )  # fmt: skip
    purchase, _ = told(db, shop(tmp_path))
    assert (purchase["treatment_customers"], purchase["control_customers"]) == (1, 1)


def test_who_is_no_customer_any_more_counts_in_neither(db, tmp_path):
    entered(db, (1, "treatment", 0, None), (7000, "treatment", 0, None), (7001, "control", 0, None))
    purchase, _ = told(db, shop(tmp_path, (7001, 3, 5)))
    assert (purchase["treatment_customers"], purchase["control_customers"]) == (1, 1)


def test_an_audience_that_nobody_keeps_any_more_is_not_told_of(db, tmp_path):
    entered(db, (1, "treatment", 0, None))
    lift.lift(db, shop(tmp_path), END, tmp_path / "work", wanted=[audience("true", name="other")])
    assert pq.read_table(tmp_path / "work" / "lift.parquet").num_rows == 0


def planted(db, folder, seed: int, *, effect: float) -> list[dict]:
    """4,000 entries in halves; a tenth of control buys, and ``effect`` more of the other."""
    chance = random.Random(seed)  # noqa: S311
    groups = {customer: chance.choice(["treatment", "control"]) for customer in range(1, 4001)}
    entered(db, *((customer, group, 0, None) for customer, group in groups.items()))
    lines = [
        (customer, chance.randrange(30), chance.randint(5, 50))
        for customer, group in groups.items()
        if chance.random() < 0.1 + effect * (group == "treatment")
    ]
    return told(db, shop(folder, *lines))


def test_a_planted_effect_is_found(db, tmp_path):
    purchase, revenue = planted(db, tmp_path, seed=3, effect=0.05)
    assert 0 < purchase["difference_low"] < 0.05 < purchase["difference_high"]
    assert 0 < revenue["difference_low"] < 0.05 * 27.5 < revenue["difference_high"]


def test_where_both_groups_are_treated_alike_the_interval_holds_nothing(db, tmp_path):
    for row in planted(db, tmp_path, seed=2, effect=0):
        assert row["difference_low"] < 0 < row["difference_high"]


def test_of_a_hundred_intervals_about_ninety_five_hold_the_truth():
    draws = np.random.default_rng(4)
    held = {"purchase": 0, "revenue": 0}
    for _ in range(400):
        groups = []
        for entries, share in ((900, 0.15), (400, 0.1)):
            revenue = draws.exponential(20, entries) * (draws.random(entries) < share)
            bought = int((revenue > 0).sum())
            groups.append(Group(entries, bought, revenue.mean(), revenue.var(ddof=1)))
        for row, truth in zip(lift.compared(*groups), (0.05, 1.0), strict=True):
            held[row["outcome"]] += row["difference_low"] < truth < row["difference_high"]
    assert all(0.92 < count / 400 < 0.98 for count in held.values())
