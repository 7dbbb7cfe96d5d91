"""Values that CRMs really hold: they land exactly, or are set aside with a reason, never lost."""

import json
import random
import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from include.errors import ConfigError, PortraitError
from tests.faults import crms, oracle
from tests.faults.crms import GOODS, TICKET, landed, load, set_aside

ROOT = Path(__file__).parents[2]
BILL = {"select": "SELECT id AS source_id, at AS ordered_at, total FROM bills"}
DAY = "2026-01-05 10:00:00"

databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
postgres = crms.fixture("postgres")
mariadb = crms.fixture("mysql")
sqlite = crms.fixture("sqlite")


@pytest.fixture(params=["first", "later"])
def later(request):
    """Whether the load is the first of its table: then it takes another way."""
    return request.param == "later"


@pytest.fixture
def goods(crm, warehouse, later):
    """An empty table of goods."""
    crm.create("goods", sku="key", title="text", price="money", kind="text")
    if later:
        load(warehouse, GOODS, run_id="r0")
    return crm


@pytest.fixture
def bills(crm, warehouse, later):
    """An empty table of bills."""
    crm.create("bills", id="key", at="moment", total="money")
    if later:
        load(warehouse, BILL, "customer_order", run_id="r0")
    return crm


@pytest.mark.fault("F25", how="rows without a name or a key, beside good ones, then mended")
def test_f25_a_row_without_a_required_value_is_set_aside_and_the_others_land(goods, warehouse):
    goods.add(
        "goods",
        ("a", "Apple", "1", None),
        ("b", None, "2", None),
        (None, "Cake", "3", None),
        ("", "Dates", "4", None),
    )
    loaded = load(warehouse, GOODS)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (4, 1, 3)
    assert landed(warehouse, "source_id, name") == [("a", "Apple")]
    assert set_aside(warehouse) == [
        ("", "required", "source_id"),
        ("b", "required", "name"),
        (None, "required", "source_id"),
    ]
    goods.run("UPDATE goods SET title = 'Bread' WHERE sku = 'b'")
    assert load(warehouse, GOODS, run_id="r2").inserted == 1
    assert len(set_aside(warehouse)) == 2


DATED = {
    "select": "SELECT sku AS source_id, title AS name, price, changed FROM goods",
    "cursor": "changed",
}


@pytest.fixture
def dated(crm, warehouse, later):
    """An empty table of goods that say when they changed."""
    crm.create("goods", sku="key", title="text", price="money", changed="moment")
    if later:
        load(warehouse, DATED, run_id="r0")
    return crm


@pytest.mark.fault("F26", how="a key three times in one batch; the latest version is no copy")
def test_f26_of_three_rows_with_one_key_the_latest_lands_and_two_are_set_aside(dated, warehouse):
    dated.add(
        "goods",
        ("a", "old", "1", crms.ago(minutes=3)),
        ("a", "new", "3", crms.ago(minutes=1)),
        ("a", "mid", "2", crms.ago(minutes=2)),
        ("b", "Bread", "4", crms.ago(minutes=2)),
    )
    loaded = load(warehouse, DATED)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (4, 2, 2)
    assert landed(warehouse, "source_id, name") == [("a", "new"), ("b", "Bread")]
    assert set_aside(warehouse) == [("a", "duplicate", "source_id")] * 2
    kept = warehouse.execute("SELECT payload ->> 'name' FROM ops.quarantine ORDER BY 1").fetchall()
    assert kept == [("mid",), ("old",)]
    again = load(warehouse, DATED, run_id="r2")
    assert (again.inserted, again.updated, again.quarantined) == (0, 0, 0)


@pytest.mark.fault("F26", how="of three rows with one key the latest also breaks a rule")
def test_f26_the_latest_good_row_of_a_key_lands_and_a_later_bad_one_is_set_aside(dated, warehouse):
    dated.add(
        "goods",
        ("a", "old", "1", crms.ago(minutes=3)),
        ("a", None, "3", crms.ago(minutes=1)),
        ("a", "mid", "2", crms.ago(minutes=2)),
    )
    for run_id in ("r1", "r2"):
        load(warehouse, DATED, run_id=run_id)
        assert landed(warehouse, "source_id, name") == [("a", "mid")]
        assert set_aside(warehouse) == [("a", "duplicate", "source_id"), ("a", "required", "name")]


NUL = {"mysql": "concat('a', char(0), 'b')", "sqlite": "'a' || char(0) || 'b'"}
LATIN1 = "CAST(x'636166e9' AS TEXT)"
with_nul = crms.fixture("mysql", "sqlite")


def table_of_goods(crm, warehouse, later):
    crm.create("goods", sku="key", title="text", price="money")
    if later:
        load(warehouse, GOODS, run_id="r0")
    return crm


@pytest.fixture
def goods_with_nul(with_nul, warehouse, later):
    """An empty table of goods where a text may hold a NUL; PostgreSQL knows none."""
    return table_of_goods(with_nul, warehouse, later)


@pytest.fixture
def raw(sqlite, warehouse, later):
    """An empty table of goods where a text may hold any bytes."""
    return table_of_goods(sqlite, warehouse, later)


def check_bad_text_is_set_aside(raw, warehouse, bad: str) -> None:
    raw.run(f"INSERT INTO goods VALUES ('a', 'Apple', '1'), ('b', {bad}, '2'), ('c', 'Käse', '3')")
    loaded = load(warehouse, GOODS)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (3, 2, 1)
    assert landed(warehouse, "source_id, name") == [("a", "Apple"), ("c", "Käse")]
    assert set_aside(warehouse) == [("b", "text", "")]
    ((payload,),) = warehouse.execute("SELECT payload FROM ops.quarantine").fetchall()
    assert list(payload) == ["line"]
    assert payload["line"].startswith("b\t")
    assert load(warehouse, GOODS, run_id="r2").quarantined == 0
    raw.run("UPDATE goods SET title = 'Bread' WHERE sku = 'b'")
    assert load(warehouse, GOODS, run_id="r3").inserted == 1
    assert set_aside(warehouse) == []


def check_bad_text_is_stripped(raw, warehouse, bad: str, freed: str) -> None:
    raw.run(f"INSERT INTO goods VALUES ('a', 'Apple', '1'), ('b', {bad}, '2')")
    loaded = load(warehouse, GOODS, bad_text="strip")
    assert (loaded.inserted, loaded.quarantined) == (2, 0)
    assert landed(warehouse, "source_id, name") == [("a", "Apple"), ("b", freed)]
    assert crms.ledger(warehouse, "rows_stripped") == 1


@pytest.mark.fault("F27", how="a NUL in one of three rows, then mended")
def test_f27_a_text_with_a_nul_is_set_aside_until_it_is_mended(goods_with_nul, warehouse):
    check_bad_text_is_set_aside(goods_with_nul, warehouse, NUL[goods_with_nul.dialect])


@pytest.mark.fault("F27", how="a NUL in a text, with bad_text strip")
def test_f27_a_nul_can_be_stripped_and_is_counted(goods_with_nul, warehouse):
    check_bad_text_is_stripped(goods_with_nul, warehouse, NUL[goods_with_nul.dialect], "ab")


@pytest.mark.fault("F27", how="a NUL in every second row, in batches of two")
def test_f27_bad_text_at_the_edges_of_batches_costs_no_other_row(with_nul, warehouse):
    with_nul.create("goods", sku="key", title="text", price="money", changed="moment")
    stamp = crms.ago(hours=2)
    for n in range(9):
        title = NUL[with_nul.dialect] if n % 2 else "'good'"
        with_nul.run(f"INSERT INTO goods VALUES ('k{n}', {title}, {n}, '{stamp}')")
    load(warehouse, crms.STAMPED, batch_rows=2)
    good = [(f"k{n}", "good") for n in range(0, 9, 2)]
    assert landed(warehouse, "source_id, name") == good
    assert set_aside(warehouse) == [(f"k{n}", "text", "") for n in range(1, 9, 2)]


@pytest.mark.fault("F28", how="bytes of Latin-1 in a text of SQLite, then mended")
def test_f28_a_text_that_is_not_utf8_is_set_aside_until_it_is_mended(raw, warehouse):
    check_bad_text_is_set_aside(raw, warehouse, LATIN1)


@pytest.mark.fault("F28", how="bytes of Latin-1, with bad_text strip")
def test_f28_bytes_that_are_no_text_can_be_stripped_and_are_counted(raw, warehouse):
    check_bad_text_is_stripped(raw, warehouse, LATIN1, "caf")


@pytest.mark.fault("F28", how="a landed text goes bad while deletes are swept")
def test_f28_a_row_whose_text_goes_bad_keeps_its_landed_version_and_is_not_deleted(raw, warehouse):
    swept = {**GOODS, "deletes": "sweep"}
    raw.add("goods", ("a", "Apple", "1"), ("b\\\t", "Bread", "2"))
    load(warehouse, swept)
    raw.run(f"UPDATE goods SET title = {LATIN1} WHERE title = 'Bread'")
    loaded = load(warehouse, swept, run_id="r2")
    assert (loaded.deleted, loaded.quarantined) == (0, 1)
    assert landed(warehouse, "source_id, name, deleted_at") == [
        ("a", "Apple", None),
        ("b\\\t", "Bread", None),
    ]
    assert set_aside(warehouse) == [("b\\\t", "text", "")]


@pytest.mark.fault("F28", how="three rows of bad text, two of them without a key")
def test_f28_every_row_of_bad_text_is_kept_even_without_a_key(raw, warehouse):
    for key, price in (("NULL", 1), ("NULL", 2), ("'c'", 3)):
        raw.run(f"INSERT INTO goods VALUES ({key}, {LATIN1}, {price})")
    loaded = load(warehouse, GOODS)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (3, 0, 3)
    assert set_aside(warehouse) == [("c", "text", ""), (None, "text", ""), (None, "text", "")]
    assert load(warehouse, GOODS, run_id="r2").quarantined == 0


@pytest.mark.fault("F28", how="columns of MariaDB in five character sets")
def test_f28_every_character_set_of_mariadb_lands_as_the_same_text(mariadb, warehouse):
    texts = {
        "latin1": "café",
        "cp1251": "чай",
        "sjis": "お茶",
        "utf16": "🫖 茶",
        "utf8mb3": "Žluť",
    }
    kinds = {name: f"varchar(20) CHARACTER SET {name}" for name in texts}
    mariadb.create("goods", **kinds)
    mariadb.add("goods", tuple(texts.values()))
    for number, name in enumerate(texts):
        select = f"SELECT '{name}' AS source_id, `{name}` AS name FROM goods"
        load(warehouse, {"select": select}, run_id=f"r{number}")
    assert dict(landed(warehouse, "source_id, name")) == texts


@pytest.mark.fault("F28", how="a binary column of MariaDB: as hexadecimal digits, or converted")
def test_f28_bytes_of_mariadb_lose_nothing_and_can_be_named_as_text(mariadb, warehouse):
    mariadb.create("goods", sku="key", title="varbinary(20)", price="money")
    mariadb.run("INSERT INTO goods VALUES ('a', x'636166e9', 1), ('b', x'00', 2)")
    load(warehouse, GOODS)
    assert landed(warehouse, "source_id, name") == [("a", r"\x636166e9"), ("b", r"\x00")]
    named = GOODS["select"].replace("title", "CONVERT(title USING latin1)")
    loaded = load(warehouse, {"select": named}, run_id="r2")
    assert (loaded.updated, loaded.quarantined) == (1, 1)
    assert landed(warehouse, "source_id, name")[0] == ("a", "café")


SIGNS = [
    *("\\", "\\.", "\\N", "\\n", "\\t", "\\x41", "\\101", "\t", "\n", "\r", "\r\n", "\v", "\f"),
    *("\b", "\x01", "\x1f", "\x7f", "'", '"', "`", "%s", "%", "{}", "$1", ";", "--", "/*", ","),
    *(" ", "\u00a0", "\u2028", "\ufeff", "\ufffd", "é", "e\u0301", "İ", "ß", "客户", "🫖"),
    *("\U0010ffff", "NULL", "null", "0", "a", "A"),
]


def awkward(seed: int) -> list[str]:
    """Every sign alone, then 300 random texts of them."""
    pick = random.Random(seed)  # noqa: S311  nothing secret
    return [*SIGNS, *("".join(pick.choices(SIGNS, k=pick.randrange(1, 9))) for _ in range(300))]


@pytest.mark.fault("F29", how="random texts of awkward signs, as value and as key, three databases")
def test_f29_every_text_lands_exactly_as_it_is_in_the_source(goods, warehouse, seed):
    texts = [(f"{number:03d}{text}", text) for number, text in enumerate(awkward(seed))]
    goods.add("goods", *((key, text, None, None) for key, text in texts))
    load(warehouse, GOODS)
    found = dict(landed(warehouse, "source_id, name"))
    assert [(key, text, found.get(key)) for key, text in texts if found.get(key) != text] == []
    assert len(found) == len(texts)
    assert load(warehouse, GOODS, run_id="r2").updated == 0


@pytest.mark.fault("F30", how="random empty, blank and missing texts in three databases")
def test_f30_empty_blank_and_missing_texts_stay_apart(goods, warehouse, seed):
    pick = random.Random(seed)  # noqa: S311  nothing secret
    kinds = {f"{number:03d}": pick.choice([None, "", " ", "\t", "\\N"]) for number in range(100)}
    goods.add("goods", *((key, "", None, kind) for key, kind in kinds.items()))
    query = "SELECT sku AS source_id, title AS name, kind AS category FROM goods"
    load(warehouse, {"select": query})
    assert dict(landed(warehouse, "source_id, category")) == kinds
    assert landed(warehouse, "DISTINCT name, 1") == [("", 1)]


def check_amounts_are_set_aside(crm, warehouse, kind: str, bad: list[str], check: str) -> None:
    """Good rows beside bad ones; then the good one goes bad and keeps what was landed of it."""
    crm.create("bills", id="key", at="moment", total=kind)
    crm.run(f"INSERT INTO bills VALUES ('a', '{DAY}', 1.5)")
    for number, value in enumerate(bad):
        crm.run(f"INSERT INTO bills VALUES ('x{number}', '{DAY}', {value})")
    loaded = load(warehouse, BILL, "customer_order")
    assert (loaded.inserted, loaded.quarantined) == (1, len(bad))
    crm.run(f"UPDATE bills SET total = {bad[0]} WHERE id = 'a'")
    assert load(warehouse, BILL, "customer_order", run_id="r2").quarantined == 1
    assert landed(warehouse, "source_id, total", "customer_order") == [("a", Decimal("1.5"))]
    assert landed(warehouse, "sum(total), 1", "customer_order") == [(Decimal("1.5"), 1)]
    keys = ["a", *(f"x{number}" for number in range(len(bad)))]
    assert set_aside(warehouse) == [(key, check, "total") for key in keys]


@pytest.mark.parametrize("kind", ["numeric", "double precision", "real"])
@pytest.mark.fault("F31", how="NaN in every type of PostgreSQL that has one; sums stay finite")
def test_f31_a_nan_is_set_aside_and_sums_stay_finite(kind, postgres, warehouse):
    check_amounts_are_set_aside(postgres, warehouse, kind, ["'NaN'"], "range")


@pytest.mark.fault("F31", how="the text NaN in SQLite")
def test_f31_the_word_nan_is_no_number(sqlite, warehouse):
    check_amounts_are_set_aside(sqlite, warehouse, "text", ["'NaN'", "'nan'"], "type")


@pytest.mark.parametrize("kind", ["numeric", "double precision", "real"])
@pytest.mark.fault("F32", how="both infinities in every type of PostgreSQL that has them")
def test_f32_an_infinite_amount_is_set_aside(kind, postgres, warehouse):
    check_amounts_are_set_aside(postgres, warehouse, kind, ["'Infinity'", "'-Infinity'"], "range")


@pytest.mark.fault("F32", how="an overflowing REAL of SQLite")
def test_f32_an_infinite_real_of_sqlite_is_set_aside(sqlite, warehouse):
    check_amounts_are_set_aside(sqlite, warehouse, "real", ["9e999", "-9e999"], "type")


@pytest.mark.fault("F33", how="amounts beyond twelve digits, also by rounding, in three databases")
def test_f33_an_amount_too_large_is_set_aside_and_the_largest_lands(bills, warehouse):
    bills.add(
        "bills",
        ("a", DAY, "999999999999.999999"),
        ("b", DAY, "-999999999999.999999"),
        ("c", DAY, "1000000000000000"),
        ("d", DAY, "-1000000000000"),
        ("e", DAY, "999999999999.9999995"),
        ("f", DAY, "-999999999999.99999999"),
    )
    loaded = load(warehouse, BILL, "customer_order")
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (6, 2, 4)
    assert landed(warehouse, "source_id, total", "customer_order") == [
        ("a", Decimal("999999999999.999999")),
        ("b", Decimal("-999999999999.999999")),
    ]
    assert set_aside(warehouse) == [(key, "range", "total") for key in "cdef"]


FLOAT = {"postgres": "double precision", "mysql": "double", "sqlite": "real"}


@pytest.mark.fault("F33", how="1e15 in the floating point type of three databases")
def test_f33_a_float_too_large_is_set_aside(crm, warehouse):
    check_amounts_are_set_aside(
        crm, warehouse, FLOAT[crm.dialect], ["1e15", "1e300", "-1e15"], "range"
    )


@pytest.mark.fault("F33", how="whole numbers beyond 32 bits for an integer, in three databases")
def test_f33_a_whole_number_too_large_is_set_aside(crm, warehouse):
    crm.create("calls", id="key", opened="moment", times="bigint")
    times = {"a": 2147483647, "b": 2147483648, "c": 3000000000, "d": 9223372036854775807}
    crm.add("calls", *((key, DAY, number) for key, number in times.items()))
    query = "SELECT id AS source_id, opened AS opened_at, times AS reopened FROM calls"
    assert load(warehouse, {"select": query}, "ticket").quarantined == 3
    assert landed(warehouse, "source_id, reopened", "ticket") == [("a", 2147483647)]
    assert set_aside(warehouse) == [(key, "range", "reopened") for key in "bcd"]


@pytest.mark.fault("F34", how="seven digits after the point, three databases: landed and counted")
def test_f34_an_amount_of_seven_decimals_is_rounded_and_counted(bills, warehouse):
    bills.add("bills", ("a", DAY, "1.0000005"), ("b", DAY, "-2.0000004"), ("c", DAY, "3.000001"))
    loaded = load(warehouse, BILL, "customer_order")
    assert (loaded.inserted, loaded.quarantined) == (3, 0)
    assert crms.ledger(warehouse, "rows_rounded") == 2
    assert landed(warehouse, "source_id, total", "customer_order") == [
        ("a", Decimal("1.000001")),
        ("b", Decimal("-2")),
        ("c", Decimal("3.000001")),
    ]
    again = load(warehouse, BILL, "customer_order", run_id="r2")
    assert (again.inserted, again.updated) == (0, 0)


@pytest.mark.fault("F34", how="seven digits after the point, with rounding set_aside")
def test_f34_an_amount_of_seven_decimals_can_be_set_aside_instead(bills, warehouse):
    bills.add("bills", ("a", DAY, "1.0000005"), ("b", DAY, "2.50000000"))
    loaded = load(warehouse, BILL, "customer_order", rounding="set_aside")
    assert (loaded.inserted, loaded.quarantined) == (1, 1)
    assert landed(warehouse, "source_id, total", "customer_order") == [("b", Decimal("2.5"))]
    assert set_aside(warehouse) == [("a", "rounding", "total")]


@pytest.mark.fault("F34", how="a fraction where a whole number belongs, in three databases")
def test_f34_a_fraction_in_a_whole_number_is_not_rounded_in_silence(crm, warehouse):
    crm.create("calls", id="key", opened="moment", times="money")
    crm.add("calls", ("a", DAY, "1.5"), ("b", DAY, "2"))
    query = "SELECT id AS source_id, opened AS opened_at, times AS reopened FROM calls"
    load(warehouse, {"select": query}, "ticket")
    assert crms.ledger(warehouse, "rows_rounded") == 1
    assert landed(warehouse, "source_id, reopened", "ticket") == [("a", 2), ("b", 2)]
    load(warehouse, {"select": query}, "ticket", run_id="r2", rounding="set_aside")
    assert set_aside(warehouse) == [("a", "rounding", "reopened")]


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


LOAD_IN_A_CHILD = """
import re, sys
from pathlib import Path
from include import landing
from include.connections import connect
from tests.faults.crms import TICKET, mapping
with connect("warehouse") as db:
    landing.load(mapping(TICKET, "ticket"), "ticket", db, run_id=sys.argv[1])
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def peak_mb(run_id: str) -> float:
    """The most memory that a load takes in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD_IN_A_CHILD, run_id],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout) / 1024


HUGE_MB = 64
A_HUGE_TEXT = {
    "postgres": f"repeat('portrait ', {(HUGE_MB << 20) // 9})",
    "sqlite": f"replace(hex(zeroblob({(HUGE_MB << 20) // 18})), '00', 'portrait portrait ')",
}
with_huge_rows = crms.fixture("postgres", "sqlite")


def add_huge_rows(crm, keys: str) -> None:
    for key in keys:
        crm.run(f"INSERT INTO calls VALUES ('{key}', '{DAY}', {A_HUGE_TEXT[crm.dialect]})")


@pytest.mark.fault("F37", how="a row of 64 MB lands in a process of less than ten times that")
def test_f37_a_row_of_64_mb_lands_in_bounded_memory(
    with_huge_rows, warehouse, databases, monkeypatch
):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", crms.url_of(databases.warehouse))
    with_huge_rows.create("calls", id="key", opened="moment", note="text")
    add_huge_rows(with_huge_rows, "a")
    assert peak_mb("r1") < 10 * HUGE_MB
    assert landed(warehouse, "length(subject) / 1000000, 1", "ticket") == [(67, 1)]


@pytest.mark.fault("F37", how="six rows of 64 MB: the loader's memory is that of few, not of all")
def test_f37_memory_does_not_grow_with_the_number_of_huge_rows(
    postgres, warehouse, databases, monkeypatch
):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", crms.url_of(databases.warehouse))
    postgres.create("calls", id="key", opened="moment", note="text")
    add_huge_rows(postgres, "a")
    one_mb = peak_mb("r1")
    add_huge_rows(postgres, "bcdef")
    assert peak_mb("r2") < one_mb + 3 * HUGE_MB
    assert landed(warehouse, "count(*), 1", "ticket") == [(6, 1)]


@pytest.mark.fault("F37", how="a value above the limit of one gigabyte")
def test_f37_a_value_above_the_limit_is_one_clear_error_and_loads_nothing(postgres, warehouse):
    postgres.create("calls", id="key", opened="moment", note="text")
    postgres.add("calls", ("a", DAY, "small"), ("b", DAY, "x"))
    long = "CASE id WHEN 'b' THEN repeat(note, 1100000000) ELSE note END"
    query = f"SELECT id AS source_id, opened AS opened_at, {long} AS subject FROM calls"
    with pytest.raises(PortraitError) as raised:
        load(warehouse, {"select": query}, "ticket")
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith("crm.yaml: ")
    assert landed(warehouse, "source_id, subject", "ticket") == []
    assert warehouse.execute("SELECT read_to FROM ops.watermark").fetchall() == []


@pytest.mark.fault(
    "F37", how="a text that MariaDB may not double for its line (max_allowed_packet)"
)
def test_f37_a_text_too_large_for_mariadbs_packet_never_lands_as_null(mariadb, warehouse):
    ((packet,),) = mariadb.run("SELECT @@max_allowed_packet")
    mariadb.create("calls", id="key", opened="moment", note="text")
    mariadb.run(f"INSERT INTO calls VALUES ('a', '{DAY}', repeat('x', {packet} - 200))")
    try:
        load(warehouse, TICKET, "ticket")
    except PortraitError as error:
        assert "max_allowed_packet" in str(error)  # noqa: PT017  landing it whole is right, too
        assert landed(warehouse, "source_id, subject", "ticket") == []
    else:
        found = landed(warehouse, "source_id, length(subject)", "ticket")
        assert found == [("a", packet - 200)]


@pytest.mark.timeout(60)
@pytest.mark.fault("F37", how="a text of 300,000 lines in three databases, within a minute")
def test_f37_a_text_of_many_lines_lands_in_reasonable_time(crm, warehouse):
    text = "\n" * 300_000
    crm.create("calls", id="key", opened="moment", note="text")
    crm.add("calls", ("a", DAY, text))
    load(warehouse, TICKET, "ticket")
    assert landed(warehouse, "source_id, subject", "ticket") == [("a", text)]


DOCUMENTS = [
    '{"n": 1e400}',
    '{"n": 12345678901234567890123456789012345678.123456789012345678}',
    '{"n": 0.1, "s": "tab\\tline\\nback\\\\ \\u00e9 \\ud83e\\uded6"}',
    "[" * 1500 + "]" * 1500,
    '{"a": "\\u0000"}',
    "  null ",
    '{"a": 1, "a": 2}',
]


@pytest.mark.fault("F38", how="JSON of huge numbers, 1,500 levels and double keys, by the letter")
def test_f38_json_beside_the_model_is_kept_to_the_letter(crm, warehouse, later):
    kind = "json" if crm.dialect == "postgres" else "text"
    crm.create("goods", sku="key", title="text", doc=kind)
    query = "SELECT sku AS source_id, title AS name, doc FROM goods"
    how = {"select": query, "pass_through": ["doc"]}
    if later:
        load(warehouse, how, run_id="r0")
    crm.add("goods", *((str(n), "", document) for n, document in enumerate(DOCUMENTS)))
    load(warehouse, how)
    found = landed(warehouse, "source_id::int, pass_through ->> 'doc'")
    assert found == list(enumerate(DOCUMENTS))
    assert load(warehouse, how, run_id="r2").updated == 0


LEGAL = {
    "nan": "'NaN'::numeric",
    "wide": "12345678901234567890.123456789012345678::numeric(38,18)",
    "huge": "1e40::numeric",
    "never": "'infinity'::timestamptz",
    "caesar": "'0044-03-15 12:00:00+00 BC'::timestamptz",
    "jsonb": """'{"n": 1e400, "a": [[[0.10]]]}'::jsonb""",
    "bytes": "'\\x00ff'::bytea",
    "list": "ARRAY['a,b', NULL, 'c\"d']",
    "span": "interval '1 year 2 months -3 days'",
    "day": "date '2026-10-25'",
    "time": "timestamp '2026-10-25 02:30'",
    "money": "12.5::money",
    "float": "(0.1::float8 + 0.2::float8)",
    "row": "ROW(1, 'x')",
    "bits": "B'0101'",
}


@pytest.mark.fault("F39", how="one value of each legal type of PostgreSQL that readers trip over")
def test_f39_every_legal_value_of_postgresql_is_kept_as_its_text(postgres, warehouse):
    listed = ", ".join(f'{value} AS "{name}"' for name, value in LEGAL.items())
    texts = ", ".join(f'q."{name}"::text' for name in LEGAL)
    (expected,) = postgres.run(f"SELECT {texts} FROM (SELECT {listed}) AS q")
    database = postgres.db.info.dbname
    postgres.run(f"ALTER DATABASE {database} SET datestyle = 'SQL, DMY'")
    postgres.run(f"ALTER DATABASE {database} SET intervalstyle = 'sql_standard'")
    postgres.run(f"ALTER DATABASE {database} SET bytea_output = 'escape'")
    postgres.run(f"ALTER DATABASE {database} SET extra_float_digits = 0")
    query = f"SELECT 'a' AS source_id, 'Apple' AS name, {listed}"
    load(warehouse, {"select": query, "pass_through": list(LEGAL)})
    ((found,),) = warehouse.execute("SELECT pass_through FROM landing.product").fetchall()
    assert found == dict(zip(LEGAL, expected, strict=True))


@pytest.mark.fault("F39", how="random amounts of eighteen digits in three databases, by content")
def test_f39_amounts_of_eighteen_digits_land_and_add_up_exactly(bills, warehouse, seed):
    pick = random.Random(seed)  # noqa: S311  nothing secret
    totals = [
        f"{pick.choice(['', '-'])}{pick.randrange(10**12)}.{pick.randrange(10**6):06d}"
        for _ in range(500)
    ]
    bills.add("bills", *((str(n), DAY, total) for n, total in enumerate(totals)))
    load(warehouse, BILL, "customer_order")
    assert landed(warehouse, "sum(total), 1", "customer_order") == [(sum(map(Decimal, totals)), 1)]
    rows = oracle.read(bills.db, BILL["select"])
    oracle.assert_same(rows, warehouse, source="crm", entity="customer_order")


@pytest.mark.fault("F39", how="numbers of 38 digits kept beside the model, in three databases")
def test_f39_a_number_of_38_digits_is_kept_beside_the_model(crm, warehouse):
    number = "12345678901234567890.123456789012345678"
    crm.create("goods", sku="key", title="text", weight="text")
    crm.add("goods", ("a", "Apple", number))
    kind = {"postgres": "numeric(38,18)", "mysql": "decimal(38,18)", "sqlite": "text"}[crm.dialect]
    query = f"SELECT sku AS source_id, title AS name, CAST(weight AS {kind}) AS weight FROM goods"
    load(warehouse, {"select": query, "pass_through": ["weight"]})
    assert landed(warehouse, "source_id, pass_through ->> 'weight'") == [("a", number)]


SINGLE = {"postgres": "real", "mysql": "float", "sqlite": "real"}


@pytest.mark.fault("F39", how="single and double floats of the source, to their last sure digit")
@pytest.mark.parametrize(
    ("kinds", "value", "off"), [(SINGLE, "123456.78", "0.01"), (FLOAT, "123456789012.34", "0.001")]
)
def test_f39_a_float_of_the_source_lands_with_all_its_digits(kinds, value, off, crm, warehouse):
    crm.create("bills", id="key", at="moment", total=kinds[crm.dialect])
    crm.run(f"INSERT INTO bills VALUES ('a', '{DAY}', {value})")
    load(warehouse, BILL, "customer_order")
    ((_, total),) = landed(warehouse, "source_id, total", "customer_order")
    assert abs(total - Decimal(value)) < Decimal(off)


ODD_NAMES = ["order", "Größe", "100%", "it's", 'say "x"', "CamelCase", "a b", "payload", "fault"]


@pytest.mark.fault("F40", how="reserved, accented, quoted and bookkeeping names beside the model")
def test_f40_a_column_of_any_name_is_kept_beside_the_model(crm, warehouse, later):
    crm.create("goods", sku="key", **{f"c{n}": "text" for n in range(len(ODD_NAMES))})
    listed = ", ".join(f"c{n} AS {crm.quoted(name)}" for n, name in enumerate(ODD_NAMES))
    query = f"SELECT sku AS source_id, sku AS name, {listed} FROM goods"
    how = {"select": query, "pass_through": ODD_NAMES, "deletes": "sweep"}
    if later:
        load(warehouse, how, run_id="r0")
    crm.add("goods", ("a", *ODD_NAMES))
    load(warehouse, how)
    ((_, kept),) = landed(warehouse, "source_id, pass_through")
    assert kept == {name: name for name in ODD_NAMES}
    crm.add("goods", (None, *ODD_NAMES))
    load(warehouse, how, run_id="r2")
    ((payload,),) = warehouse.execute("SELECT payload FROM ops.quarantine").fetchall()
    assert {name: payload[name] for name in ODD_NAMES} == kept


@pytest.mark.fault("F40", how="a name that PostgreSQL keeps for its own columns")
def test_f40_a_name_that_postgresql_keeps_for_itself_is_refused(crm, warehouse):
    crm.create("goods", sku="key")
    crm.add("goods", ("a",))
    query = "SELECT sku AS source_id, sku AS name, sku AS xmin FROM goods"
    with pytest.raises(ConfigError, match=r"crm\.yaml: entities\.product.*xmin"):
        load(warehouse, {"select": query, "pass_through": ["xmin"]})


@pytest.mark.parametrize("name", ["Geändert am", "order", "100% late", "it's", 'the "date"'])
@pytest.mark.fault("F40", how="the cursor, the deletion mark and the table have odd names")
def test_f40_cursor_and_deletion_mark_may_have_any_name(name, crm, warehouse):
    gone = f"{name} gone"
    crm.create("50% of `all`", Id="key", **{name: "moment", gone: "text"})
    listed = f"{crm.quoted('Id')} AS source_id, {crm.quoted('Id')} AS name"
    query = f"SELECT {listed}, {crm.quoted(name)}, {crm.quoted(gone)} FROM "
    table = crm.quoted("50% of `all`")
    how = {"select": query + table, "cursor": name, "deletes": {"column": gone}}
    crm.add("50% of `all`", ("a", crms.ago(hours=5), "0"))
    assert load(warehouse, how).inserted == 1
    crm.add("50% of `all`", ("b", crms.ago(minutes=1), "1"))
    loaded = load(warehouse, how, run_id="r2")
    assert (loaded.read, loaded.inserted) == (1, 1)
    found = landed(warehouse, "source_id, deleted_at IS NOT NULL")
    assert found == [("a", False), ("b", True)]


LONG = "the_name_of_a_column_that_a_generator_made_and_that_nobody_shortened"
not_postgres = crms.fixture("mysql", "sqlite")


@pytest.mark.fault("F40", how="two names that are the same in their first 63 bytes")
def test_f40_names_that_postgresql_would_cut_to_the_same_are_refused(not_postgres, warehouse):
    names = [f"{LONG}_1", f"{LONG}_2"]
    not_postgres.create("goods", sku="key")
    not_postgres.add("goods", ("a",))
    listed = ", ".join(f"sku AS {name}" for name in names)
    query = f"SELECT sku AS source_id, sku AS name, {listed} FROM goods"
    with pytest.raises(ConfigError, match=r"crm\.yaml: entities\.product.*" + LONG):
        load(warehouse, {"select": query, "pass_through": names})


@pytest.mark.fault("F40", how="a name of 70 letters in PostgreSQL, which cuts it off")
def test_f40_a_name_that_postgresql_has_cut_is_refused_with_what_it_gives(postgres, warehouse):
    postgres.create("goods", sku="key")
    query = f"SELECT sku AS source_id, sku AS name, sku AS {LONG} FROM goods"
    with pytest.raises(ConfigError, match=rf"crm\.yaml: .*{LONG}.*{LONG[:63]}"):
        load(warehouse, {"select": query, "pass_through": [LONG]})


@pytest.mark.fault("F40", how="keys that differ by case, accents and blanks only")
def test_f40_keys_that_differ_by_case_only_are_different_rows(goods, warehouse):
    keys = ["a", "A", "á", "Á", "a ", " a", "ß", "ss", "SS", "ä", "ae"]
    goods.add("goods", *((key, f"name of {key!r}", None, None) for key in keys))
    swept = {**GOODS, "deletes": "sweep"}
    assert load(warehouse, swept).inserted == len(keys)
    assert dict(landed(warehouse, "source_id, name")) == {k: f"name of {k!r}" for k in keys}
    again = load(warehouse, swept, run_id="r2")
    assert (again.inserted, again.updated, again.deleted, again.quarantined) == (0, 0, 0, 0)


@pytest.mark.fault("F40", how="two columns whose names differ by case only, in PostgreSQL")
def test_f40_columns_that_differ_by_case_only_stay_apart(postgres, warehouse):
    postgres.run("""CREATE TABLE goods (sku text, name text, "Name" text)""")
    postgres.add("goods", ("a", "small", "large"))
    query = 'SELECT sku AS source_id, name, "Name" FROM goods'
    load(warehouse, {"select": query, "pass_through": ["Name"]})
    assert landed(warehouse, "name, pass_through ->> 'Name'") == [("small", "large")]


def check_a_name_twice_is_refused(crm, warehouse, second: str) -> None:
    crm.create("goods", sku="key", title="text", kind="text")
    crm.add("goods", ("a", "Apple", "fruit"))
    query = f"SELECT sku AS source_id, title AS name, kind AS {second} FROM goods"
    with pytest.raises(ConfigError, match=r"(?i)crm\.yaml: .*name"):
        load(warehouse, {"select": query, "pass_through": [second] if second == "Name" else []})


@pytest.mark.fault("F40", how="a select that gives one name twice")
def test_f40_a_select_that_gives_a_name_twice_is_refused(crm, warehouse):
    check_a_name_twice_is_refused(crm, warehouse, "name")


@pytest.mark.fault("F40", how="a select whose names differ by case only, where they may not")
def test_f40_a_select_that_gives_a_name_twice_but_for_case_is_refused(not_postgres, warehouse):
    check_a_name_twice_is_refused(not_postgres, warehouse, "Name")


@pytest.mark.fault("F40", how="a comment, with or without a quote, ends the select")
def test_f40_a_select_may_end_in_a_comment(goods, warehouse):
    goods.add("goods", ("a", "Apple", "1", None))
    loaded = load(warehouse, {"select": GOODS["select"] + "  -- it's all; (really"})
    assert (loaded.read, loaded.inserted) == (1, 1)


@contextmanager
def in_encoding(url, encoding, monkeypatch):
    """A CRM in PostgreSQL in another encoding than UTF-8."""
    how = f"ENCODING {encoding} LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    with crms.own_database(url, how) as conninfo, crms.postgres(conninfo, monkeypatch) as crm:
        yield crm


ASCII_TEXTS = [
    (0, "E'caf\\xe9'"),
    (1, "E'caf\\xc3\\xa9'"),
    (2, "'plain'"),
    (3, "E'tab\\t\\\\ back'"),
]


@pytest.mark.fault("F45", how="a database without an encoding: UTF-8 lands, Latin-1 is set aside")
def test_f45_of_a_database_without_an_encoding_what_is_utf8_lands(
    postgres_url, warehouse, monkeypatch
):
    with in_encoding(postgres_url, "SQL_ASCII", monkeypatch) as crm:
        crm.create("goods", sku="key", title="text", price="money")
        for run_id in ("a", "b"):  # the first load and a later one take different ways
            rows = ", ".join(f"('{run_id}{n}', {text}, {n}.5)" for n, text in ASCII_TEXTS)
            crm.run(f"INSERT INTO goods VALUES {rows}")
            assert load(warehouse, GOODS, run_id=run_id).quarantined == 1
        assert landed(warehouse, "source_id, name, price") == [
            (f"{run_id}{n}", text, Decimal(f"{n}.5"))
            for run_id in ("a", "b")
            for n, text in [(1, "café"), (2, "plain"), (3, "tab\t\\ back")]
        ]
        assert set_aside(warehouse) == [("a0", "text", ""), ("b0", "text", "")]


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP"])
@pytest.mark.fault("F45", how="databases in Latin-1 and EUC_JP")
def test_f45_a_database_in_another_encoding_lands_as_the_same_text(
    encoding, postgres_url, warehouse, monkeypatch
):
    text = "お茶" if encoding == "EUC_JP" else "Käse"
    with in_encoding(postgres_url, encoding, monkeypatch) as crm:
        crm.create("goods", sku="key", title="text", price="money")
        crm.add("goods", ("a", text, "1"))
        load(warehouse, GOODS)
        assert landed(warehouse, "source_id, name") == [("a", text)]


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
@pytest.mark.fault("F45", how="SQLite files in UTF-16")
def test_f45_a_sqlite_file_in_utf16_lands_as_the_same_text(encoding, sqlite, warehouse):
    sqlite.run(f"PRAGMA encoding = '{encoding}'")
    sqlite.create("goods", sku="key", title="text", price="money")
    sqlite.add("goods", ("a", "Käse 🫖 お茶", "1"))
    load(warehouse, GOODS)
    assert landed(warehouse, "source_id, name") == [("a", "Käse 🫖 お茶")]


MANY_TYPES = """
CREATE TYPE mood AS ENUM ('fine', 'bad');
CREATE TABLE goods (sku uuid PRIMARY KEY, title varchar(20), price numeric(14,4), stock boolean,
    since timestamp, until date, changed timestamptz, tags text[], mood mood, doc jsonb, n int);
INSERT INTO goods VALUES ('6ecd8c99-4036-403d-bf84-cf8400f67836', 'Käse', 12.3400, true,
    '2026-01-05 10:00', '2026-02-01', '2026-01-05 10:00+01', ARRAY['a', NULL], 'fine',
    '{"a": 1.50}', 7)
"""


@pytest.mark.fault("F45", how="source and warehouse are PostgreSQL of different versions")
def test_f45_a_server_of_another_version_is_read(
    postgres_url, warehouse, monkeypatch, tmp_path_factory
):
    with crms.another_postgres(postgres_url, monkeypatch, tmp_path_factory) as crm:
        assert crm.db.info.server_version // 10000 != warehouse.info.server_version // 10000
        crm.run(MANY_TYPES)
        beside = ["tags", "mood", "doc", "n"]
        query = f"""SELECT sku AS source_id, title AS name, price, stock AS in_stock,
            since AS available_from, until AS discontinued_at, changed, {", ".join(beside)}
            FROM goods"""
        load(warehouse, {"select": query, "cursor": "changed", "pass_through": beside})
        columns = "source_id, name, price, in_stock, available_from::text, discontinued_at::text"
        assert landed(warehouse, columns) == [
            (
                *("6ecd8c99-4036-403d-bf84-cf8400f67836", "Käse", Decimal("12.34"), True),
                *("2026-01-05 10:00:00+00", "2026-02-01 00:00:00+00"),
            )
        ]
        ((kept,),) = warehouse.execute("SELECT pass_through FROM landing.product").fetchall()
        assert kept == {"tags": "{a,NULL}", "mood": "fine", "doc": '{"a": 1.50}', "n": "7"}
        assert json.loads(kept["doc"]) == {"a": 1.5}
