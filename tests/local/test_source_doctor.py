"""What the doctor says of a source, each fault planted in a real PostgreSQL, MariaDB or SQLite."""

import os
import secrets
import sqlite3
import time
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from include.local import source_doctor
from include.local.probes.postgres import PostgresProbe
from include.sources import Source

CUSTOMER = {
    "select": "SELECT id AS source_id, email, changed FROM customers",
    "cursor": "changed",
}
EMAIL = 'column "emial" in customers; nearest: email'
MARKS = {True: "ok", False: "!!", None: "--"}


def source(**entities) -> Source:
    return Source.model_validate({"name": "shop", "connection": "crm", "entities": entities})


def said(of: Source, warehouse: PostgresProbe | None = None) -> list[str]:
    """What the doctor says, without the server's own lines (version, clock)."""
    found = list(source_doctor.examine(of, warehouse))
    return [f"{MARKS[one.good]} {one.subject}: {one.said}" for one in found][2:]


def only(select: str, **more) -> list[str]:
    """What it says of one customer entity, without the notes on the account."""
    lines = said(source(customer={"select": select, **more}))
    return [line for line in lines if "shop.customer: " in line]


def uri(conninfo: str, **other: str) -> str:
    parts = {"password": "", **psycopg.conninfo.conninfo_to_dict(conninfo), **other}
    login = f"{parts['user']}:{parts['password']}@{parts['host']}:{parts['port']}"
    return f"postgres://{login}/{parts['dbname']}"


@pytest.fixture
def crm(empty_database, monkeypatch):
    """A PostgreSQL CRM with a table of two customers."""
    monkeypatch.setenv("AIRFLOW_CONN_CRM", uri(empty_database))
    with psycopg.connect(empty_database, autocommit=True) as db:
        db.execute("CREATE TABLE customers (id int PRIMARY KEY, email text, changed timestamptz)")
        db.execute("INSERT INTO customers VALUES (1, 'ann@example.org', now()), (2, NULL, now())")
        db.execute("CREATE INDEX ON customers (changed)")
        db.execute("ANALYZE customers")
        yield db


@pytest.fixture
def reader(crm, empty_database, monkeypatch):
    """The CRM's administrator, and the name of the account that the source logs in with."""
    account = f"portrait_test_{secrets.token_hex(6)}"
    crm.execute(f"CREATE ROLE {account} LOGIN PASSWORD 'rather-secret'")
    other = {"user": account, "password": "rather-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_CRM", uri(empty_database, **other))
    yield account
    crm.execute(f"DROP OWNED BY {account}")
    crm.execute(f"DROP ROLE {account}")


@pytest.fixture
def landed(warehouse_url, monkeypatch):
    """The warehouse as the doctor asks it."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", uri(warehouse_url))
    with closing(PostgresProbe("warehouse")) as probe:
        yield probe


def test_a_source_in_order_is_a_server_a_clock_and_a_line_an_entity(crm, reader, landed):
    crm.execute(f"GRANT SELECT ON customers TO {reader}")
    crm.execute(f"GRANT pg_read_all_stats TO {reader}")
    server, clock, *rest = source_doctor.examine(source(customer=CUSTOMER), landed)
    assert server.said.startswith("PostgreSQL 1")
    assert server.said.endswith(
        f", UTF8, answers at {crm.info.host}:{crm.info.port}/{crm.info.dbname}"
    )
    assert clock.said.endswith(" s to the warehouse")
    assert (server.good, clock.good) == (True, True)
    assert [(one.subject, one.good, one.said) for one in rest] == [
        ("shop.customer", True, "about 2 rows to read; never loaded")
    ]


def test_rows_watermark_and_quarantine_of_an_entity_are_told(crm, warehouse, landed):
    warehouse.execute("CREATE TABLE landing.c PARTITION OF landing.customer FOR VALUES IN ('shop')")
    warehouse.execute(
        """INSERT INTO landing.customer (source, source_id, landed_at, run_id)
           VALUES ('shop', '1', now(), 'r')"""
    )
    warehouse.execute(
        """INSERT INTO ops.watermark (source, entity, read_to, run_id)
           VALUES ('shop', 'customer', now() - interval '3 hours', 'r')"""
    )
    warehouse.execute(
        """INSERT INTO ops.quarantine (source, entity, row_key_hash, "check", "column", reason,
               payload, run_id, recorded_at)
           VALUES ('shop', 'customer', 'k', 'type', 'birth_date', 'unreadable', '{}', 'r', now())"""
    )
    warehouse.commit()
    row, quarantine = said(source(customer=CUSTOMER), landed)[-2:]
    assert row.startswith("ok shop.customer: about 2 rows to read; 1 landed, read to 20")
    assert row.endswith(" UTC, 3 hours ago")
    assert quarantine == (
        "-- shop.customer: 1 rows in quarantine; reasons: "
        "SELECT * FROM bi.quarantine WHERE source = 'shop' AND entity = 'customer'"
    )


def test_a_warehouse_without_tables_has_loaded_nothing(crm, empty_database, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", uri(empty_database))
    with closing(PostgresProbe("warehouse")) as empty:
        last = said(source(customer=CUSTOMER), empty)[-1]
    assert last == "ok shop.customer: about 2 rows to read; never loaded"


@pytest.mark.parametrize(
    ("select", "fault"),
    [
        ("SELECT id AS source_id, emial FROM customers", EMAIL),
        ("SELECT c.id AS source_id, c.emial FROM customers c", EMAIL),
        ("SELECT id AS source_id FROM custmers", 'table "custmers"; nearest: customers'),
        ("SELECT id AS source_id FROM orders", 'table "orders"; there are: customers'),
        (
            "WITH d AS (SELECT id, emial FROM customers) SELECT id AS source_id, emial FROM d",
            EMAIL,
        ),
        (
            "SELECT id AS source_id FROM customers WHERE EXISTS (SELECT 1 WHERE chagned > now())",
            'column "chagned" in customers; nearest: changed',
        ),
        (
            "SELECT id AS source_id, zip FROM customers",
            'column "zip" in customers; there are: id, email, changed',
        ),
    ],
)
def test_a_name_that_is_not_there_is_told_with_the_nearest_that_is(crm, select, fault):
    assert only(select) == [f"!! shop.customer: no {fault}"]


def test_every_missing_name_of_a_query_is_told_at_once(crm):
    crm.execute('CREATE TABLE "Visit" (who int, "At" timestamptz)')
    assert only(
        """SELECT c.id AS source_id, emial, v.at, "V".who
           FROM customers AS c JOIN "Visit" AS v ON v.who = c.idd"""
    ) == [
        '!! shop.customer: no column "emial" in customers, Visit; nearest: email',
        '!! shop.customer: no column "at" in Visit; nearest: At',
        '!! shop.customer: no column "idd" in customers; nearest: id',
    ]


def test_a_fault_that_no_catalog_explains_is_told_in_the_servers_words(crm):
    assert only("SELECT no_such(id) AS source_id FROM customers") == [
        "!! shop.customer: function no_such(integer) does not exist; mend the select"
    ]


def test_a_query_that_could_write_is_refused_and_not_tried(crm):
    (line,) = only("WITH d AS (DELETE FROM customers RETURNING id) SELECT id AS source_id FROM d")
    assert line.startswith("!! shop.customer: shop.yaml: entities.customer.select: holds DELETE")
    assert crm.execute("SELECT count(*) FROM customers").fetchone() == (2,)


def test_columns_that_are_needed_and_not_given_or_given_and_not_asked_for_are_told(crm):
    order = {
        "select": """SELECT id AS source_id, changed AS ordered_on, email AS tier, 1 AS rank
                     FROM customers""",
        "cursor": "changed_at",
        "deletes": {"column": "gone"},
        "pass_through": ["tier", "level"],
    }
    told = [line for line in said(source(customer_order=order)) if "customer_order" in line]
    lacks = "!! shop.customer_order: the select gives no column"
    near = "there are: source_id, ordered_on, tier, rank; alias one so"
    assert told == [
        "-- shop.customer_order: about 2 rows to read",
        f'{lacks} "ordered_at" (required by the contract); nearest: ordered_on; alias one so',
        f'{lacks} "changed_at" (the cursor); {near}',
        f'{lacks} "gone" (the mark of deleted rows); {near}',
        f'{lacks} "level" (in pass_through); {near}',
        "-- shop.customer_order: columns that are not in our model: ordered_on, rank; ignored",
    ]


CURSOR = "SELECT {} AS modified, q.id AS source_id FROM customers AS q"


def test_the_index_that_a_cursor_lacks_can_be_made_as_told(crm):
    crm.execute('CREATE TABLE "order" (id int, at timestamptz)')
    crm.execute("""INSERT INTO "order" SELECT n, now() FROM generate_series(1, 1200) AS n""")
    crm.execute('ANALYZE "order"')
    select = 'SELECT o.id AS source_id, (o.at) AS modified FROM "order" AS o'
    row, index = only(select, cursor="modified")
    assert row.startswith("ok ")
    told, statement = index.split(" for CREATE ")
    assert told == (
        "-- shop.customer: no index on order.at: each load reads all of its 1,200 rows; "
        "ask the CRM's administrator"
    )
    assert statement == 'INDEX CONCURRENTLY order_at ON "order" (at)'
    crm.execute(f"CREATE {statement}")
    assert only(select, cursor="modified") == [row]


MANY = "cursor modified is not one plain column: cannot tell whether an index helps"
SEEN = "no index on customers.seen: each load reads all of its "
VIEW = "cursor modified comes from seen_customers, which is no table: "


@pytest.mark.parametrize(
    ("select", "told"),
    [
        (CURSOR.format("changed"), ""),
        (CURSOR.format("seen"), SEEN),
        (CURSOR.format("greatest(changed, seen)"), MANY),
        (f"WITH d AS ({CURSOR.format('seen')}) SELECT * FROM d", SEEN),
        (f"{CURSOR.format('changed')} UNION ALL {CURSOR.format('seen')}", SEEN),
        ("SELECT id AS source_id, q.*, seen AS modified FROM customers AS q", MANY),
        ("SELECT id AS source_id, seen AS modified FROM seen_customers", VIEW),
        (
            "SELECT *, id AS source_id FROM (SELECT id, seen AS modified FROM customers) AS d",
            SEEN,
        ),
    ],
)
def test_a_cursor_is_followed_to_the_columns_that_it_comes_from(crm, select, told):
    crm.execute("ALTER TABLE customers ADD seen timestamptz")
    crm.execute("CREATE INDEX ON customers (seen) WHERE seen IS NOT NULL")  # serves no NULL
    crm.execute("CREATE VIEW seen_customers AS SELECT * FROM customers")
    _, *found = [line for line in only(select, cursor="modified") if "our model" not in line]
    assert len(found) == bool(told)
    assert "".join(found).removeprefix("-- shop.customer: ").startswith(told)


def test_two_tables_of_one_name_are_not_told_apart(crm):
    crm.execute("CREATE SCHEMA b; CREATE TABLE b.customers AS TABLE customers")
    select = """SELECT {} AS source_id, public.customers.changed AS modified
                FROM public.customers JOIN b.customers ON b.customers.id = public.customers.id"""
    assert only(select.format("b.customers.id"), cursor="modified")[1:] == [
        f"-- shop.customer: {MANY}"
    ]
    assert only(select.format("b.customers.no")) == [
        "!! shop.customer: column customers.no does not exist; mend the select"
    ]


def test_the_right_that_is_missing_is_the_one_to_ask_for(crm, reader):
    line, *_ = only(CUSTOMER["select"])
    told, _, grant = line.rpartition("; ask for ")
    assert told == "!! shop.customer: may not read customers"
    assert grant == f"GRANT SELECT ON customers TO {reader}"
    crm.execute(grant)
    assert only(CUSTOMER["select"])[0].startswith("ok ")


def test_a_closed_schema_is_opened_by_what_is_asked_for(crm, reader):
    crm.execute("CREATE SCHEMA sales")
    crm.execute("ALTER TABLE customers SET SCHEMA sales")
    select = "SELECT id AS source_id FROM sales.customers"
    line, *_ = only(select)
    told, _, grant = line.rpartition("; ask for ")
    assert told == "!! shop.customer: may not read sales.customers"
    assert grant.startswith(f"GRANT USAGE ON SCHEMA sales TO {reader}; GRANT SELECT ON ")
    crm.execute(grant)
    assert only(select)[0].startswith("ok ")


def test_a_single_closed_column_is_told_in_the_servers_words_with_the_grant(crm, reader):
    crm.execute(f"GRANT SELECT (id) ON customers TO {reader}")
    assert only(CUSTOMER["select"])[0] == (
        "!! shop.customer: permission denied for table customers; "
        f"ask for that right, or for GRANT SELECT ON customers TO {reader}"
    )


def test_hidden_transactions_and_rights_to_write_are_told_once_each(crm, reader):
    crm.execute(f"GRANT SELECT, UPDATE ON customers TO {reader}")
    hidden, writes, *_ = said(source(customer=CUSTOMER))
    told, _, grant = hidden.rpartition("; ask for ")
    assert told == (
        "-- shop: other users' open transactions are invisible, "
        "so only the lookback finds what commits late"
    )
    assert writes == (
        f"-- shop: the account {reader} may write to 1 tables, such as customers; "
        "one that can only read is enough"
    )
    crm.execute(grant)
    crm.execute(f"REVOKE UPDATE ON customers FROM {reader}")
    assert said(source(customer=CUSTOMER))[0].startswith("ok shop.customer: ")


def test_a_superuser_is_more_than_is_needed(crm):
    account = crm.execute("SELECT quote_ident(current_user)").fetchone()[0]
    assert said(source(customer=CUSTOMER))[0] == (
        f"-- shop: the account {account} is a superuser; one that can only read is enough"
    )


def test_rows_that_policies_hide_are_told(crm, reader):
    crm.execute(f"GRANT SELECT ON customers TO {reader}; GRANT pg_read_all_stats TO {reader}")
    crm.execute("ALTER TABLE customers ENABLE ROW LEVEL SECURITY")
    told, _, wish = said(source(customer=CUSTOMER))[0].rpartition("; ask for ")
    assert told == "-- shop: rows that policies hide are not read, of customers"
    crm.execute(wish)
    assert said(source(customer=CUSTOMER))[0].startswith("ok shop.customer: ")


def test_a_server_that_ends_the_connection_is_one_bad_line(crm, reader):
    findings = source_doctor.examine(source(customer=CUSTOMER), None)
    next(findings)
    crm.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [reader]
    )
    last = list(findings)[-1]
    assert last.good is False
    assert last.said.endswith("; the rest of shop was not looked at: run this again")


@pytest.fixture
def shadowed(crm, reader):
    """Functions of the server's own catalog, replaced for the source's account alone."""
    crm.execute("CREATE SCHEMA shadow")
    crm.execute(f"GRANT USAGE ON SCHEMA shadow TO {reader}")
    crm.execute(f"GRANT SELECT ON customers TO {reader}")
    crm.execute(f"GRANT pg_read_all_stats TO {reader}")
    crm.execute(f"ALTER ROLE {reader} SET search_path = shadow, pg_catalog, public")

    def replace(function: str, kind: str, value: str) -> None:
        crm.execute(
            f"CREATE FUNCTION shadow.{function}() RETURNS {kind} LANGUAGE sql AS 'SELECT {value}'"
        )

    return replace


def test_a_clock_that_is_two_minutes_off_is_bad_by_both_other_clocks(shadowed, landed):
    shadowed("clock_timestamp", "timestamptz", "pg_catalog.clock_timestamp() + interval ''120 s''")
    clock = list(source_doctor.examine(source(customer=CUSTOMER), landed))[1]
    assert clock.good is False
    assert clock.said == (
        "clock +120.0 s to this machine, +120.0 s to the warehouse; "
        "set all of them by network time (NTP)"
    )


def test_a_replica_hides_what_is_open_on_its_primary(shadowed):
    shadowed("pg_is_in_recovery", "boolean", "true")
    assert said(source(customer=CUSTOMER))[0] == (
        "-- shop: a replica: transactions that are open on its primary are invisible, "
        "so only the lookback finds what commits late"
    )


def test_a_database_that_promises_no_encoding_is_told(postgres_url, monkeypatch):
    name = f"portrait_test_{secrets.token_hex(6)}"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", uri(postgres_url, dbname=name))
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            told = said(source(customer={"select": "SELECT 1 AS source_id"}))[0]
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert told.startswith("-- shop: SQL_ASCII promises no encoding: ")


def test_a_locked_table_costs_seconds_and_no_more(crm, empty_database):
    with psycopg.connect(empty_database) as other:
        other.execute("LOCK TABLE customers")
        began = time.monotonic()
        (line,) = only(CUSTOMER["select"])
        assert time.monotonic() - began < 15
    assert line.startswith("-- shop.customer: the select gave no answer within seconds (")


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("postgres://me:rather-secret@127.0.0.1:1/db", "crm: no connection to 127.0.0.1:1/db: "),
        ("mysql://me:rather-secret@127.0.0.1:1/db", "crm: no connection to 127.0.0.1:1/db: "),
        ("sqlite:////no/such.db", "crm: no file /no/such.db; check AIRFLOW_CONN_CRM"),
        ("oracle://me:rather-secret@db/x", "AIRFLOW_CONN_CRM: 'oracle' is no kind of database"),
    ],
)
def test_a_source_out_of_reach_is_one_line_without_its_password(monkeypatch, address, fault):
    monkeypatch.setenv("AIRFLOW_CONN_CRM", address)
    (one,) = source_doctor.examine(source(customer=CUSTOMER), None)
    assert (one.subject, one.good) == ("shop", False)
    assert one.said.startswith(fault)
    assert "rather-secret" not in one.said
    assert "\n" not in one.said


@pytest.fixture
def till(tmp_path, monkeypatch):
    """A SQLite CRM with three customers."""
    path = tmp_path / "till.sqlite"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, changed TEXT)")
        db.execute("INSERT INTO customers VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, 'c', 'x')")
        yield db


def test_sqlite_counts_names_the_nearest_and_asks_for_an_index(till):
    row, index = said(source(customer=CUSTOMER))
    assert row == "ok shop.customer: 3 rows to read"
    told, statement = index.split(" for CREATE ")
    assert told == (
        "-- shop.customer: no index on customers.changed: each load reads all of its 3 rows; "
        "ask the CRM's administrator"
    )
    till.execute(f"CREATE {statement}")
    assert said(source(customer=CUSTOMER)) == [row]
    assert only("SELECT ID AS source_id, c.emial FROM Customers AS c") == [
        '!! shop.customer: no column "emial" in customers; nearest: email'
    ]
    assert only("SELECT id AS source_id FROM custmers") == [
        '!! shop.customer: no table "custmers"; nearest: customers'
    ]


def test_a_file_that_is_no_database_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "till.sqlite"
    path.write_text("a text of more than one hundred bytes, which is no database " * 3)
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"sqlite:///{path}")
    (one,) = source_doctor.examine(source(customer=CUSTOMER), None)
    assert one.said == f"crm: cannot read {path}: file is not a database; check AIRFLOW_CONN_CRM"


def test_a_sqlite_query_without_end_is_given_up(till):
    endless = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                 SELECT i AS source_id FROM n"""
    began = time.monotonic()
    (row,) = only(endless)
    assert time.monotonic() - began < 15
    assert row == "ok shop.customer: an unknown number of rows to read"


@pytest.fixture
def mariadb(monkeypatch):
    """The administrator of a MariaDB, a database of its own, and an account that reads it."""
    url = urlsplit(os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306"))
    login = {"host": url.hostname, "port": url.port or 3306, "user": url.username or "root"}
    try:
        db = pymysql.connect(**login, password=url.password or "", autocommit=True)
    except pymysql.err.OperationalError:
        pytest.skip("no MariaDB at MARIADB_URL, nor at 127.0.0.1:3306 as root without password")
    name = f"portrait_test_{secrets.token_hex(6)}"
    monkeypatch.setenv(
        "AIRFLOW_CONN_CRM",
        f"mysql://{name}:rather-secret@{login['host']}:{login['port']}/{name}",
    )
    with db.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        cursor.execute(f"USE {name}")
        cursor.execute("CREATE TABLE customers (id int, email varchar(99), changed datetime)")
        cursor.execute("INSERT INTO customers VALUES (1, 'a', now()), (2, 'b', now())")
        cursor.execute(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'rather-secret'")
        cursor.execute(f"GRANT SELECT ON {name}.customers TO '{name}'@'%'")
        cursor.name = name
        yield cursor
        cursor.execute(f"DROP DATABASE {name}")
        cursor.execute(f"DROP USER '{name}'@'%'")
    db.close()


def test_mariadb_tells_its_version_charset_and_clock(mariadb):
    server, clock, *_ = source_doctor.examine(source(customer=CUSTOMER), None)
    assert server.said.startswith("MariaDB 1")
    assert f", utf8mb4, answers at 127.0.0.1:3306/{mariadb.name}" in server.said
    assert (server.good, clock.good) == (True, True)


def test_a_mariadb_entity_has_rows_and_the_index_to_ask_for(mariadb):
    mariadb.execute("ANALYZE TABLE customers")
    row, index = [line for line in said(source(customer=CUSTOMER)) if "shop.customer" in line]
    assert row.startswith("ok shop.customer: about 2 rows to read")
    told, statement = index.split(" for CREATE ")
    assert told.startswith("-- shop.customer: no index on customers.changed: each load reads all")
    mariadb.execute(f"CREATE {statement}")
    assert only(**CUSTOMER) == [row]


@pytest.mark.parametrize(
    ("select", "fault"),
    [
        ("SELECT ID AS source_id, emial FROM customers", EMAIL),
        ("SELECT id AS source_id FROM custmers", 'table "custmers"; nearest: customers'),
    ],
)
def test_mariadb_names_the_nearest(mariadb, select, fault):
    mariadb.execute(f"GRANT SELECT ON {mariadb.name}.* TO '{mariadb.name}'@'%'")
    assert only(select)[0] == f"!! shop.customer: no {fault}"


def test_the_right_that_mariadb_lacks_is_the_one_to_ask_for(mariadb):
    mariadb.execute("CREATE TABLE orders (id int)")
    line, *_ = only("SELECT id AS source_id FROM orders")
    told, _, grant = line.rpartition("; ask for ")
    assert told == (
        '!! shop.customer: may not read "orders", or it is not there (there are: customers)'
    )
    mariadb.execute(grant)
    assert only("SELECT id AS source_id FROM orders")[0].startswith("ok ")


def test_mariadbs_hidden_transactions_and_rights_to_write_are_told(mariadb):
    mariadb.execute(f"GRANT INSERT, UPDATE ON {mariadb.name}.* TO '{mariadb.name}'@'%'")
    hidden, writes, *_ = said(source(customer=CUSTOMER))
    told, _, grant = hidden.rpartition("; ask for ")
    assert told == (
        "-- shop: open transactions are invisible, so only the lookback finds what commits late"
    )
    assert writes == (
        f"-- shop: the account '{mariadb.name}'@'%' may write to `{mariadb.name}`.*; "
        "one that can only read is enough"
    )
    mariadb.execute(grant)
    assert said(source(customer=CUSTOMER))[0] == writes


def test_an_uncommon_charset_is_told(mariadb):
    mariadb.execute("ALTER TABLE customers ADD town varchar(99) CHARACTER SET gbk")
    assert said(source(customer=CUSTOMER))[0].startswith("-- shop: text in gbk: ")
