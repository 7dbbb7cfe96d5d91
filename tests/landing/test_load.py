"""What a load lands, sets aside and keeps, from real PostgreSQL, SQLite and MariaDB."""

import os
import sqlite3
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from include import landing
from include.errors import ConfigError, InputError, QualityError, ResourceError
from include.sources import Source

PRODUCT = {
    "select": "SELECT sku AS source_id, title AS name, price, kind AS category FROM goods",
    "deletes": "sweep",
}

PRODUCT_BOUND = {  # of types that can only be right, so that it lands without staging
    "select": "SELECT sku AS source_id, title AS name, price::numeric(12,2) FROM goods"
}


def source(**entities: dict) -> Source:
    return Source.model_validate({"name": "crm", "connection": "crm", "entities": entities})


@pytest.fixture
def crm(empty_database: str, monkeypatch: pytest.MonkeyPatch):
    """A PostgreSQL CRM with a table of goods."""
    parts = psycopg.conninfo.conninfo_to_dict(empty_database)
    login = f"{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"postgres://{login}/{parts['dbname']}")
    with psycopg.connect(empty_database, autocommit=True) as db:
        db.execute("CREATE TABLE goods (sku text, title text, price numeric, kind text)")
        db.execute(
            "INSERT INTO goods VALUES ('a', 'Apple', 1.25, 'fruit'), ('b', 'Bread', 3, NULL)"
        )
        yield db


def landed(db: psycopg.Connection, columns: str, table: str = "landing.product") -> list[tuple]:
    return db.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()


def quarantined(db: psycopg.Connection) -> list[tuple]:
    return db.execute(
        'SELECT entity, "check", "column", reason FROM ops.quarantine ORDER BY 1, 2, 3'
    ).fetchall()


def test_rows_land_with_their_source_and_key(crm, warehouse):
    loaded = landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1")
    assert (loaded.read, loaded.inserted) == (2, 2)
    assert landed(warehouse, "source, source_id, name, price, category, is_product") == [
        ("crm", "a", "Apple", Decimal("1.25"), "fruit", True),
        ("crm", "b", "Bread", Decimal("3"), None, True),
    ]


def test_a_transaction_that_began_before_a_first_load_sees_nothing_of_it(
    crm, warehouse, warehouse_url
):
    with psycopg.connect(warehouse_url) as earlier:
        earlier.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert earlier.execute("SELECT count(*) FROM landing.customer").fetchone() == (0,)
        landing.load(source(product=PRODUCT_BOUND), "product", warehouse, run_id="r1")
        warehouse.commit()
        assert earlier.execute("SELECT count(*) FROM landing.product").fetchone() == (0,)
    assert landed(warehouse, "count(*)::int, 2") == [(2, 2)]


def test_a_source_that_takes_too_long_is_one_line_with_the_next_step(crm, warehouse):
    crm.execute("CREATE VIEW slow AS SELECT sku, title, pg_sleep(5)::text AS wait FROM goods")
    crm.execute(
        """DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = 300',
                                      current_database()); END $$"""
    )
    slow = {"select": "SELECT sku AS source_id, title || wait AS name FROM slow"}
    with pytest.raises(ResourceError, match=r"^crm: .*statement timeout; .* crm.yaml;"):
        landing.load(source(product=slow), "product", warehouse, run_id="r1")


def test_a_second_load_without_a_change_writes_no_row(crm, warehouse):
    landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1")
    before = landed(warehouse, "xmin::text, ctid::text")
    loaded = landing.load(source(product=PRODUCT), "product", warehouse, run_id="r2")
    assert (loaded.read, loaded.inserted, loaded.updated, loaded.deleted) == (2, 0, 0, 0)
    assert landed(warehouse, "xmin::text, ctid::text") == before


def test_a_changed_row_replaces_the_old_version_which_moves_to_the_history(crm, warehouse):
    landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1")
    warehouse.commit()
    crm.execute("UPDATE goods SET price = 2 WHERE sku = 'a'")
    loaded = landing.load(source(product=PRODUCT), "product", warehouse, run_id="r2")
    assert (loaded.inserted, loaded.updated) == (0, 1)
    assert landed(warehouse, "source_id, price, run_id") == [
        ("a", Decimal(2), "r2"),
        ("b", Decimal(3), "r1"),
    ]
    assert landed(warehouse, "source_id, price, run_id", "landing.product_history") == [
        ("a", Decimal("1.25"), "r1")
    ]


def test_a_row_gone_from_the_source_is_marked_deleted(crm, warehouse):
    landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1")
    crm.execute("DELETE FROM goods WHERE sku = 'b'")
    assert landing.load(source(product=PRODUCT), "product", warehouse, run_id="r2").deleted == 1
    assert landed(warehouse, "source_id, deleted_at IS NOT NULL") == [("a", False), ("b", True)]


def test_a_source_that_lost_most_rows_is_taken_for_an_accident(crm, warehouse):
    crm.execute("INSERT INTO goods SELECT 'x' || n, 'Thing', 1 FROM generate_series(1, 50) AS n")
    landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1")
    crm.execute("TRUNCATE goods")
    with pytest.raises(QualityError, match="52 of 52 rows are gone from the source"):
        landing.load(source(product=PRODUCT), "product", warehouse, run_id="r2")
    assert landed(warehouse, "count(*), count(deleted_at)") == [(52, 0)]


PRICE_RANGE = (
    "price is outside what is allowed: "
    "finite, of at most twelve digits before the point, at least 0"
)


def test_rows_that_break_a_rule_are_set_aside_and_come_back_once_mended(crm, warehouse):
    crm.execute("INSERT INTO goods VALUES ('c', NULL, 1), ('d', 'Dear', 'NaN'), ('e', 'Odd', -1)")
    loaded = landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1")
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (5, 2, 3)
    assert quarantined(warehouse) == [
        ("product", "range", "price", PRICE_RANGE),
        ("product", "range", "price", PRICE_RANGE),
        ("product", "required", "name", "name is empty, but every row must have it"),
    ]
    crm.execute("UPDATE goods SET title = 'Cake' WHERE sku = 'c'")
    loaded = landing.load(source(product=PRODUCT), "product", warehouse, run_id="r2")
    assert (loaded.inserted, loaded.quarantined) == (1, 0)
    assert len(quarantined(warehouse)) == 2


def test_one_row_of_a_repeated_key_lands_and_the_others_are_set_aside(crm, warehouse):
    crm.execute("INSERT INTO goods VALUES ('a', 'Another apple', 9)")
    loaded = landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1")
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (3, 2, 1)
    again = landing.load(source(product=PRODUCT), "product", warehouse, run_id="r2")
    assert (again.inserted, again.updated, again.quarantined) == (0, 0, 0)


ORDERED = {
    "select": "SELECT id AS source_id, at AS ordered_at, changed, gone FROM bills",
    "cursor": "changed",
    "deletes": {"column": "gone"},
}


def test_only_what_changed_is_read_and_a_late_stamp_within_the_lookback_is_not_lost(crm, warehouse):
    crm.execute("CREATE TABLE bills (id int, at timestamp, changed timestamptz, gone bool)")
    crm.execute("INSERT INTO bills VALUES (1, '2026-01-01 10:00', now() - interval '2 h', false)")
    bills = source(customer_order=ORDERED)
    assert landing.load(bills, "customer_order", warehouse, run_id="r1").read == 1
    crm.execute("INSERT INTO bills VALUES (2, '2026-01-02 10:00', now() - interval '5 min', true)")
    loaded = landing.load(bills, "customer_order", warehouse, run_id="r2")
    assert (loaded.read, loaded.inserted) == (1, 1)
    deleted = landed(warehouse, "source_id, deleted_at IS NOT NULL", "landing.customer_order")
    assert deleted == [("1", False), ("2", True)]


def test_local_times_are_stored_as_moments_of_the_sources_zone(crm, warehouse):
    crm.execute("CREATE TABLE bills (id int, at timestamp, changed timestamp, gone int)")
    crm.execute("INSERT INTO bills VALUES (1, '2026-07-01 00:30', '2026-07-01 00:31', 0)")
    london = source(customer_order=ORDERED).model_copy(update={"time_zone": "Europe/London"})
    landing.load(london, "customer_order", warehouse, run_id="r1")
    ((ordered_at, changed_at),) = landed(
        warehouse, "ordered_at, changed_at", "landing.customer_order"
    )
    assert ordered_at == datetime.fromisoformat("2026-06-30T23:30+00:00")
    assert changed_at == datetime.fromisoformat("2026-06-30T23:31+00:00")


AWKWARD = [
    "tab\there",
    "line\nbreak\r",
    "back\\slash \\. \\N",
    "",
    "quote ' \" %s 50%",
    "žluťoučký 客户",
]
TICKET = {
    "select": "SELECT id AS source_id, opened AS opened_at, note AS subject, times AS reopened"
    " FROM calls",
    "deletes": "sweep",
}


def check_tickets(warehouse: psycopg.Connection) -> None:
    loaded = landing.load(source(ticket=TICKET), "ticket", warehouse, run_id="r1")
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (8, 7, 1)
    subjects = landed(warehouse, "source_id::int, subject, reopened", "landing.ticket")
    assert subjects == [*((n, text, n) for n, text in enumerate(AWKWARD, 1)), (7, None, None)]
    assert quarantined(warehouse) == [
        ("ticket", "type", "opened_at", "opened_at cannot be read as timestamptz")
    ]
    again = landing.load(source(ticket=TICKET), "ticket", warehouse, run_id="r2")
    assert (again.inserted, again.updated, again.quarantined) == (0, 0, 0)


def test_sqlite_builds_lines_that_keep_every_character(tmp_path, warehouse, monkeypatch):
    path = tmp_path / "desk.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE calls (id int, opened text, note text, times int)")
        rows = [(n, "2026-01-01 10:00:00", text, n) for n, text in enumerate(AWKWARD, 1)]
        rows += [(7, "2026-01-01T11:00:00Z", None, None), (8, "2026-02-30", "x", 0)]
        db.executemany("INSERT INTO calls VALUES (?, ?, ?, ?)", rows)
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"sqlite:///{path}")
    check_tickets(warehouse)


@pytest.fixture
def mariadb(monkeypatch):
    """A database of its own on MARIADB_URL, else on 127.0.0.1 as root without password."""
    url = urlsplit(os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306"))
    login = {"host": url.hostname, "port": url.port or 3306, "user": url.username or "root"}
    try:
        db = pymysql.connect(**login, password=url.password or "", charset="utf8mb4")
    except pymysql.err.OperationalError:
        pytest.skip("no MariaDB at MARIADB_URL, nor at 127.0.0.1:3306 as root without password")
    name = f"portrait_test_{os.getpid()}"
    secret = f":{url.password}" if url.password else ""
    monkeypatch.setenv(
        "AIRFLOW_CONN_CRM",
        f"mysql://{login['user']}{secret}@{login['host']}:{login['port']}/{name}",
    )
    with db.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        cursor.execute(f"USE {name}")
        yield cursor
        cursor.execute(f"DROP DATABASE {name}")
    db.close()


def test_mariadb_builds_lines_that_keep_every_character(mariadb, warehouse):
    mariadb.execute("CREATE TABLE calls (id int, opened varchar(30), note text, times int)")
    rows = [(n, "2026-01-01 10:00:00", text, n) for n, text in enumerate(AWKWARD, 1)]
    rows += [(7, "2026-01-01T11:00:00Z", None, None), (8, "2026-02-30", "x", 0)]
    mariadb.executemany("INSERT INTO calls VALUES (%s, %s, %s, %s)", rows)
    mariadb.connection.commit()
    check_tickets(warehouse)


def test_a_column_missing_in_the_source_is_named(crm, warehouse):
    bad = {"select": "SELECT sku AS source_id, titel AS name FROM goods"}
    with pytest.raises(ConfigError, match=r'crm.yaml: column "titel" does not exist'):
        landing.load(source(product=bad), "product", warehouse, run_id="r1")


def test_a_required_column_missing_in_the_mapping_is_named(crm, warehouse):
    bad = {"select": "SELECT sku AS source_id FROM goods"}
    with pytest.raises(ConfigError, match=r"entities\.product\.select gives no column 'name'"):
        landing.load(source(product=bad), "product", warehouse, run_id="r1")


@pytest.mark.parametrize(
    "query",
    [
        "WITH d AS (DELETE FROM goods RETURNING *) SELECT sku AS source_id, title AS name FROM d",
        "SELECT sku AS source_id, title AS name INTO other FROM goods",
        "SELECT sku AS source_id, title AS name FROM goods FOR UPDATE",
        "SELECT 1; DROP TABLE goods",
        "DROP TABLE goods",
    ],
)
def test_a_mapping_that_would_write_is_refused(query, crm, warehouse):
    with pytest.raises(ConfigError, match=r"crm.yaml: entities.product.select"):
        landing.load(source(product={"select": query}), "product", warehouse, run_id="r1")
    assert crm.execute("SELECT count(*) FROM goods").fetchone() == (2,)


def test_a_wrong_connection_is_one_line_with_the_variable_to_check(warehouse, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_CRM", "postgres://nobody:wrong@127.0.0.1:1/shop")
    with pytest.raises(ResourceError) as raised:
        landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1")
    message = str(raised.value)
    assert message.startswith("crm: no connection to 127.0.0.1:1/shop: ")
    assert message.endswith("check AIRFLOW_CONN_CRM and that the server answers")
    assert "wrong" not in message
    assert "\n" not in message


def test_a_source_without_rows_is_a_success(crm, warehouse):
    crm.execute("TRUNCATE goods")
    assert landing.load(source(product=PRODUCT), "product", warehouse, run_id="r1").read == 0


def test_the_newest_order_is_the_newest_that_was_meant(crm, warehouse):
    crm.execute("CREATE TABLE bills (id int, at timestamptz, state text)")
    crm.execute(
        """INSERT INTO bills VALUES (1, '2026-01-01Z', 'paid'), (2, '2026-01-05Z', NULL),
           (3, '2026-01-09Z', 'cancelled'), (4, '2026-01-08Z', 'quote')"""
    )
    query = "SELECT id AS source_id, at AS ordered_at, state AS status FROM bills"
    bills = source(customer_order={"select": query})
    assert landing.newest_order(warehouse) is None
    landing.load(bills, "customer_order", warehouse, run_id="r1")
    first, fifth = (datetime.fromisoformat(f"2026-01-0{day}T00:00+00:00") for day in (1, 5))
    assert landing.newest_order(warehouse) == fifth
    assert landing.newest_order(warehouse, before=fifth) == first
    landing.require_order_before(warehouse, fifth)
    with pytest.raises(InputError, match="before any order, the first is of 2026-01-01"):
        landing.require_order_before(warehouse, first)
