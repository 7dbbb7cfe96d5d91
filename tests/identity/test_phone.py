"""Telephone numbers: in full where the country is known, and who shares one where it is not."""

import itertools
import re

import duckdb
import pytest
import yaml

from include.identity import phone, records
from tests.identity.test_resolve import land, landing, people  # noqa: F401


@pytest.fixture(scope="module")
def engine():
    """The macros, in DuckDB."""
    with duckdb.connect() as db:
        records.setup(db)
        yield db


@pytest.mark.parametrize(
    ("number", "country", "written"),
    [
        ("+44 20 7946 0018", None, "+442079460018"),
        ("0044 (0)20 7946 0018 ext. 9", "DE", "+442079460018"),
        ("+44 020 7946 0018", None, "+442079460018"),
        ("020 7946 0018", "United Kingdom", "+442079460018"),
        ("020 7946 0018", "uk", "+442079460018"),
        ("442079460018", "GB", "+442079460018"),
        ("020 7946 0018", None, "2079460018"),
        ("020 7946 0018", "Ruritania", "2079460018"),
        ("0170 1234567", "Österreich", "+431701234567"),
        ("0170/1234567", "germany", "+491701234567"),
        ("1-555-200-1234", "USA", "+15552001234"),
        ("(555) 200-1234", "us", "+15552001234"),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("812 345 67 89", "RU", "+78123456789"),
        ("06 1 234 5678", "Hungary", "+3612345678"),
        ("02 1234 5678", "Italy", "+390212345678"),
        ("393 123 4567", "IT", "+393931234567"),
        ("12 34 56 78", "Danmark", "+4512345678"),
        ("7946 0018", "GB", "79460018"),  # no area code: it may be of any town
    ],
)
def test_a_number_is_written_in_full_where_its_country_is_known(engine, number, country, written):
    given = f"(SELECT ?::text AS number, {phone.plan('?::text')} AS plan)"
    row = engine.execute(f"SELECT e164(number, plan) FROM {given}", [number, country]).fetchone()
    assert row == (written,)


def test_no_name_stands_for_two_countries_and_no_code_begins_another(engine):
    names = engine.execute("SELECT home FROM calling GROUP BY home HAVING count(*) > 1").fetchall()
    plans = yaml.safe_load((phone.HERE / "calling.yaml").read_text())
    codes = sorted({str(plan["code"]) for plan in plans.values()})
    assert names == []
    assert not [pair for pair in itertools.pairwise(codes) if pair[1].startswith(pair[0])]
    assert all(re.fullmatch("[A-Z]{2}", country) for country in plans)


LONDON = "+44 20 7946 0018"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"phone": LONDON}, {"phone": "020 7946 0018", "country": "GB"}, True),
        ({"phone": LONDON}, {"phone": "020 7946 0018"}, True),
        ({"phone": "020 7946 0018"}, {"phone": "(020) 79460018"}, True),
        ({"phone": LONDON}, {"phone": "+49 20 7946 0018"}, False),
        ({"phone": LONDON}, {"phone": "020 7946 0018", "country": "Germany"}, False),
        (
            {"phone": "0170 1234567", "country": "AT"},
            {"phone": "0170 1234567", "country": "DE"},
            False,
        ),
        ({"phone": "12345678", "country": "DK"}, {"phone": "+45 12345678"}, True),
    ],
)
def test_a_phone_joins_within_a_country(landing, one, other, same):  # noqa: F811
    land(landing, {"id": "a:1"} | one, {"id": "b:1"} | other)
    assert people(landing) == {"a:1": 1, "b:1": 1 if same else 2}


def test_a_number_without_country_is_nobodys_where_two_countries_have_it(landing):  # noqa: F811
    land(landing, {"id": "a:1", "phone": LONDON}, {"id": "b:1", "phone": "020 7946 0018"})
    assert people(landing) == {"a:1": 1, "b:1": 1}
    land(landing, {"id": "c:1", "phone": "+49 20 7946 0018"})
    assert people(landing) == {"a:1": 1, "b:1": 2, "c:1": 3}
