"""Times that no calendar has."""

import pytest

from tests.faults import crms
from tests.faults.crms import BILL, TICKET, landed, load, set_aside

DAY = "2026-01-05 10:00:00"
databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
postgres = crms.fixture("postgres")
mariadb = crms.fixture("mysql")
sqlite = crms.fixture("sqlite")


ODD_MOMENTS = ["infinity", "-infinity", "0044-03-15 10:00 BC", "9999-12-31 23:59:59.999999"]


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
@pytest.mark.fault("F35", how="infinite times, times before our era, the first and the last year")
def test_f35_a_time_that_python_cannot_hold_is_set_aside(kind, postgres, warehouse, later):
    postgres.create("bills", id="key", at=kind, total="money")
    if later:
        load(warehouse, BILL, "customer_order", run_id="r0")
    postgres.add("bills", *((f"x{n}", at, None) for n, at in enumerate(ODD_MOMENTS)))
    postgres.add("bills", ("a", "0001-01-01 00:00", None), ("b", "9999-12-30 00:00", None))
    assert load(warehouse, BILL, "customer_order").quarantined == 4
    found = landed(warehouse, "source_id, ordered_at::text, ordered_at", "customer_order")
    assert [(key, text) for key, text, _ in found] == [
        ("a", "0001-01-01 00:00:00+00"),
        ("b", "9999-12-30 00:00:00+00"),
    ]
    assert set_aside(warehouse) == [(f"x{n}", "range", "ordered_at") for n in range(4)]


@pytest.mark.fault("F35", how="infinite days, days before our era and beyond the year 9999")
def test_f35_a_day_that_python_cannot_hold_is_set_aside(postgres, warehouse, later):
    select = {"select": "SELECT id AS source_id, born AS birth_date FROM person"}
    postgres.create("person", id="key", born="date")
    if later:
        load(warehouse, select, "customer", run_id="r0")
    odd = ["infinity", "-infinity", "0044-03-15 BC", "5874897-12-31"]
    postgres.add("person", *((f"x{n}", born) for n, born in enumerate(odd)), ("a", "1900-02-28"))
    assert load(warehouse, select, "customer").quarantined == 4
    assert landed(warehouse, "source_id, birth_date::text", "customer") == [("a", "1900-02-28")]
    assert set_aside(warehouse) == [(f"x{n}", "range", "birth_date") for n in range(4)]


WORDS = ["now", "today", "yesterday", "tomorrow", "epoch", "allballs", "01/02/2026", "5.1.2026"]


@pytest.mark.fault("F35", how="words and notations as text that PostgreSQL would take for a time")
def test_f35_a_text_that_does_not_surely_say_which_time_is_set_aside(sqlite, warehouse):
    sqlite.create("calls", id="key", opened="text", note="text")
    sqlite.add("calls", *((f"x{n}", word, "") for n, word in enumerate(WORDS)), ("a", DAY, ""))
    load(warehouse, TICKET, "ticket")
    assert landed(warehouse, "source_id, subject", "ticket") == [("a", "")]
    assert set_aside(warehouse) == [(f"x{n}", "type", "opened_at") for n in range(len(WORDS))]


@pytest.mark.fault("F35", how="MariaDB's zero dates")
def test_f35_a_zero_date_of_mariadb_is_set_aside(mariadb, warehouse):
    mariadb.run("SET sql_mode = ''")
    mariadb.create("calls", id="key", opened="datetime", note="text")
    mariadb.add("calls", ("a", DAY, ""), ("b", "0000-00-00 00:00:00", ""), ("c", "2026-00-00", ""))
    assert load(warehouse, TICKET, "ticket").quarantined == 2
    assert landed(warehouse, "source_id, subject", "ticket") == [("a", "")]
    assert set_aside(warehouse) == [("b", "type", "opened_at"), ("c", "type", "opened_at")]
