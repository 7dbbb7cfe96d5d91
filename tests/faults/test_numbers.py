"""Numbers that CRMs really hold: exact, or set aside with a reason."""

import random
from decimal import Decimal

import pytest

from tests.faults import crms, oracle
from tests.faults.crms import BILL, landed, load, set_aside

DAY = "2026-01-05 10:00:00"
databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
postgres = crms.fixture("postgres")
sqlite = crms.fixture("sqlite")


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
