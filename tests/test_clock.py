"""as_of is worked out once, from the run's day and the newest order."""

from datetime import date, datetime

import pytest

from include import clock, domains
from include.errors import InputError

NOON = datetime.fromisoformat("2026-03-01T12:00+00:00")


def as_of(given: str | None = None, newest: str | None = None, zone: str = "UTC") -> date:
    order = datetime.fromisoformat(newest) if newest else None
    return clock.as_of(NOON, given=given, newest_order=order, time_zone=zone)


def test_it_is_the_run_s_own_day_while_orders_are_fresh():
    assert as_of(newest="2026-03-01T11:00+00:00") == date(2026, 3, 1)


def test_it_is_the_day_after_the_newest_order_where_that_is_earlier():
    assert as_of(newest="2011-09-09T16:52+00:00") == date(2011, 9, 10)


def test_the_day_is_that_of_the_business():
    assert as_of(newest="2026-02-10T23:30+00:00", zone="Europe/Berlin") == date(2026, 2, 12)


def test_a_given_day_wins():
    assert as_of(given="2026-01-15", newest="2026-03-01T11:00+00:00") == date(2026, 1, 15)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("yesterday", "as_of 'yesterday' is no day: write it as 2026-03-01"),
        (
            "2026-04-01",
            "as_of 2026-04-01 is after 2026-03-01, the day of this run: "
            "give an earlier day or none",
        ),
    ],
)
def test_a_day_that_cannot_be_used_is_refused(given, message):
    with pytest.raises(InputError) as raised:
        as_of(given=given)
    assert str(raised.value) == message


def stale(day: date, newest: str | None) -> str | None:
    order = datetime.fromisoformat(newest) if newest else None
    return clock.stale_reason(day, NOON, newest_order=order, time_zone="UTC")


def test_tables_of_the_run_s_own_day_are_fresh():
    assert stale(date(2026, 3, 1), "2026-02-28T11:00+00:00") is None


def test_data_that_ends_early_is_called_stale_with_its_day():
    assert stale(date(2026, 2, 27), "2026-02-26T11:00+00:00") == (
        "the newest landed order is of 2026-02-26, 3 days before this run"
    )


def test_a_past_day_that_was_asked_for_is_no_fault_of_the_data():
    assert stale(date(2026, 1, 1), "2026-03-01T11:00+00:00") == (
        "this is the past day 2026-01-01, though orders have landed to 2026-03-01"
    )


def test_a_domain_may_start_from_another_and_say_only_what_differs():
    retail, british = domains.load("retail"), domains.load("british_gifts")
    assert (british.time_zone, british.currency) == ("Europe/London", "GBP")
    assert british.segments == retail.segments
