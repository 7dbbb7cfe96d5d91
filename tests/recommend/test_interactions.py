"""What counts as a purchase, as a customer and as consent."""

import pytest

from include.recommend.interactions import bought_between, consenting, read
from tests.recommend.shop import AS_OF, line, product
from tests.snapshots import write_snapshot


def test_returns_services_strangers_and_later_lines_are_no_purchases(tmp_path):
    folder = write_snapshot(
        tmp_path / "s",
        product=[product(n) for n in range(6)],
        order_line=[
            line(1, 0, "2026-02-28"),
            line(1, 1, "2026-02-28", quantity=-1),
            line(1, 2, "2026-02-28", is_product=False),
            line(None, 3, "2026-02-28"),
            line(1, 4, "2026-03-01"),
            line(1, 0, "2026-02-28", line_no=2),
        ],
    )
    data = read(folder, AS_OF)
    assert data.bought.toarray().tolist() == [[1, 0, 0, 0, 0, 0]]
    assert data.age_days.tolist() == [1]


def test_decay_halves_and_orders_add_up(tmp_path):
    lines = [line(1, 0, "2026-02-19"), line(1, 0, "2026-02-09")]
    folder = write_snapshot(tmp_path / "s", product=[product(0)], order_line=lines)
    assert read(folder, AS_OF).decayed(10).toarray() == pytest.approx(0.5 + 0.25)


def test_what_followed_is_what_was_bought_from_the_day_on(tmp_path):
    lines = [line(1, 0, "2026-02-28"), line(1, 1, "2026-03-01"), line(1, 2, "2026-03-11")]
    folder = write_snapshot(
        tmp_path / "s", product=[product(n) for n in range(3)], order_line=lines
    )
    later = bought_between(folder, read(folder, AS_OF), AS_OF.replace(day=11))
    assert later.toarray().tolist() == [[0, 1, 0]]


def test_the_customers_are_those_of_the_profile(tmp_path):
    folder = write_snapshot(
        tmp_path / "s",
        customer=[
            {"customer_id": 1, "signup_on": "2026-02-28"},
            {"customer_id": 2, "signup_on": "2026-03-01"},
            {"customer_id": 3},
            {"customer_id": 4, "signup_on": "2026-03-02"},
            {"customer_id": None},
        ],
        order_line=[line(4, 0, "2026-02-01", quantity=-1)],
    )
    assert read(folder, AS_OF).customers.tolist() == [1, 3, 4]


def test_staff_and_test_accounts_are_told_by_the_records_known_on_the_day(tmp_path):
    folder = write_snapshot(
        tmp_path / "s",
        customer=[
            {"customer_id": 1, "is_staff": True},
            {"customer_id": 2, "is_test": True, "signup_on": "2026-02-28"},
            {"customer_id": 3, "source": "shop", "signup_on": "2026-02-28"},
            {"customer_id": 3, "source": "support", "is_staff": True, "signup_on": "2026-03-01"},
        ],
        order_line=[line(n, 0, "2026-02-01") for n in (1, 3, 4)],
    )
    data = read(folder, AS_OF)
    assert {flag: held.tolist() for flag, held in data.noise.items()} == {
        "is_staff": [True, False, False, False],
        "is_test": [False, True, False, False],
    }
    assert data.bought.toarray().tolist() == [[1], [0], [1], [1]]
    assert data.learned.toarray().tolist() == [[0], [0], [1], [1]]
    assert data.buyers.tolist() == data.recent_buyers(30)[0].tolist() == [2]


def said(customer, granted, at, purpose="personalisation"):
    return {"customer_id": customer, "purpose": purpose, "granted": granted, "given_at": at}


def test_the_latest_word_before_as_of_holds_and_a_refusal_wins_a_tie(tmp_path):
    consent = [
        said(1, True, "2026-01-01"),
        said(2, True, "2026-01-01"),
        said(2, False, "2026-01-02"),
        said(3, False, "2026-01-01"),
        said(3, True, "2026-01-02"),
        said(4, True, "2026-01-01T10:00:00"),
        said(4, False, "2026-01-01T10:00:00"),
        said(5, True, "2026-03-01"),
        said(6, True, "2026-01-01", "marketing"),
        said(7, True, "2026-01-01"),
        said(7, False, "2026-03-02"),
    ]
    customers = [{"customer_id": n} for n in range(1, 9)]
    folder = write_snapshot(tmp_path / "s", customer=customers, consent=consent)
    everyone = read(folder, AS_OF).customers
    agreed = consenting(folder, AS_OF, everyone, default="allowed")
    assert everyone[agreed].tolist() == [1, 3, 7]


@pytest.mark.parametrize(("default", "agreed"), [("allowed", [True]), ("denied", [False])])
def test_unmapped_consent_follows_the_domain(tmp_path, default, agreed):
    folder = write_snapshot(tmp_path / "s", customer=[{"customer_id": 1}])
    everyone = read(folder, AS_OF).customers
    assert consenting(folder, AS_OF, everyone, default=default).tolist() == agreed
