"""The tables of ``shop`` (PostgreSQL) and ``support`` (SQLite), and how rows get into them."""

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

log = logging.getLogger(__name__)

Shop = psycopg.Connection[Any]

SHOP: dict[str, str] = {
    "customers": """id bigint, member_no text, first_name text, last_name text, email text,
        phone text, birth_date date, gender text, company text, is_company boolean, street text,
        city text, postal_code text, region text, country text, language text,
        created_at timestamptz, deleted boolean NOT NULL DEFAULT false,
        updated_at timestamptz NOT NULL""",
    "products": """code text, name text, description text, category text, subcategory text,
        brand text, supplier text, price numeric, cost numeric, currency text, stock integer,
        is_product boolean NOT NULL, age_restricted boolean, available_from date,
        discontinued_on date""",
    "orders": """order_no text, customer_id bigint, ordered_at timestamptz, status text,
        channel text, currency text, total numeric, discount numeric,
        deleted boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL""",
    "order_lines": """order_no text, line_no bigint, customer_id bigint, product_code text,
        ordered_at timestamptz, quantity numeric, unit_price numeric, discount numeric,
        deleted boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL""",
    "visits": """id bigint, customer_id bigint, visited_at timestamptz, channel text,
        updated_at timestamptz NOT NULL""",
    "views": """id bigint, customer_id bigint, viewed_at timestamptz, product_code text,
        channel text, updated_at timestamptz NOT NULL""",
    "carts": """id bigint, customer_id bigint, added_at timestamptz, product_code text,
        amount numeric, channel text, updated_at timestamptz NOT NULL""",
    "mails": """id bigint, customer_id bigint, campaign text, sent_at timestamptz,
        opened_at timestamptz, clicked_at timestamptz, updated_at timestamptz NOT NULL""",
    "campaign_answers": """id bigint, customer_id bigint, campaign text, answered_at timestamptz,
        answer text, updated_at timestamptz NOT NULL""",
}
SHOP_KEYS: dict[str, tuple[str, ...]] = {
    "products": ("code",),
    "orders": ("order_no",),
    "order_lines": ("order_no", "line_no"),
}
"""Primary keys; ``id`` where not listed."""

SUPPORT: dict[str, str] = {
    "accounts": """account_no TEXT PRIMARY KEY, member_no TEXT, display_name TEXT, mail TEXT,
        telephone TEXT, born TEXT, town TEXT, country_code TEXT, registered TEXT,
        changed TEXT NOT NULL""",
    "tickets": """ticket_no TEXT PRIMARY KEY, account_no TEXT, topic TEXT, priority TEXT,
        state TEXT, opened TEXT, first_reply TEXT, closed TEXT, reopen_count INTEGER,
        product_code TEXT, subject TEXT, body TEXT, removed INTEGER NOT NULL DEFAULT 0,
        changed TEXT NOT NULL""",
    "feedback": """feedback_no INTEGER PRIMARY KEY, account_no TEXT, product_code TEXT,
        stars INTEGER, comment TEXT, via TEXT, given TEXT, changed TEXT NOT NULL""",
    "consents": """account_no TEXT, purpose TEXT, granted INTEGER, given TEXT,
        changed TEXT NOT NULL, PRIMARY KEY (account_no, purpose)""",
}


def create_shop(shop: Shop) -> None:
    """Drop and create the tables of ``shop``, still without keys and indexes: COPY is faster so."""
    for name, columns in SHOP.items():
        shop.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_public(name)))
        shop.execute(sql.SQL("CREATE TABLE {} ({})").format(_public(name), sql.SQL(columns)))


def finish_shop(shop: Shop, remark: str) -> None:
    """Keys, indexes on the changed-at columns, statistics, and a remark on ``customers``."""
    for name, columns in SHOP.items():
        key = sql.SQL(", ").join(map(sql.Identifier, SHOP_KEYS.get(name, ("id",))))
        shop.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(_public(name), key))
        if "updated_at" in columns:
            shop.execute(sql.SQL("CREATE INDEX ON {} (updated_at)").format(_public(name)))
        shop.execute(sql.SQL("ANALYZE {}").format(_public(name)))
    describe(shop, remark)


def describe(shop: Shop, remark: str) -> None:
    """Keep a remark as the comment of ``customers``."""
    shop.execute(
        sql.SQL("COMMENT ON TABLE {} IS {}").format(_public("customers"), sql.Literal(remark))
    )


def remark(shop: Shop) -> str | None:
    """The comment of ``customers``; None without such a table."""
    row = shop.execute(
        "SELECT obj_description(to_regclass('public.customers'), 'pg_class')"
    ).fetchone()
    return None if row is None else row[0]


def copy_rows(shop: Shop, name: str, rows: pa.Table, into: sql.Composable | None = None) -> None:
    """Append rows by COPY; the columns are named by ``rows``, times carry their zone."""
    if rows.num_rows == 0:
        return
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        into or _public(name), columns
    )
    with shop.cursor() as cursor, cursor.copy(statement) as sink:
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
        with pyarrow.csv.CSVWriter(_Sink(sink), rows.schema, write_options=options) as writer:
            writer.write_table(rows)


class _Sink:
    """A file for Arrow to write to, which is a running COPY."""

    closed = False

    def __init__(self, copy: psycopg.Copy) -> None:
        self.copy = copy

    def write(self, block: bytes) -> int:
        self.copy.write(bytes(block))
        return len(block)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The COPY is closed by whoever opened it."""


def upsert(shop: Shop, name: str, rows: pa.Table) -> int:
    """Insert rows, or replace those of the same key."""
    if rows.num_rows == 0:
        return 0
    fresh = sql.Identifier("pg_temp", "fresh")
    shop.execute(
        sql.SQL("CREATE TEMP TABLE fresh (LIKE {} INCLUDING DEFAULTS)").format(_public(name))
    )
    copy_rows(shop, name, rows, into=fresh)
    key = SHOP_KEYS.get(name, ("id",))
    rest = [column for column in rows.column_names if column not in key]
    sets = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in rest
    )
    shop.execute(
        sql.SQL("INSERT INTO {} SELECT * FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
            _public(name), fresh, sql.SQL(", ").join(map(sql.Identifier, key)), sets
        )
    )
    shop.execute(sql.SQL("DROP TABLE {}").format(fresh))
    return int(rows.num_rows)


def finish(shop: Shop, support: sqlite3.Connection, remark: str) -> dict[str, int]:
    """Make both databases ready to be read; return the rows of each table."""
    finish_support(support)
    finish_shop(shop, remark)
    return count_rows(shop) | count_support(support)


def count_rows(shop: Shop) -> dict[str, int]:
    """Rows of each table of ``shop``."""
    counts = {}
    for name in SHOP:
        row = shop.execute(sql.SQL("SELECT count(*) FROM {}").format(_public(name))).fetchone()
        counts[name] = row[0] if row else 0
    return counts


def _public(name: str) -> sql.Identifier:
    return sql.Identifier("public", name)


@contextmanager
def open_support(path: Path) -> Iterator[sqlite3.Connection]:
    """The SQLite file in one transaction, committed when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    support = sqlite3.connect(path)
    try:
        with support:
            support.execute("BEGIN IMMEDIATE")
            yield support
    finally:
        support.close()


def create_support(support: sqlite3.Connection) -> None:
    """Drop and create the tables of ``support``."""
    for name, columns in SUPPORT.items():
        support.execute(f"DROP TABLE IF EXISTS {name}")
        support.execute(f"CREATE TABLE {name} ({columns})")


def finish_support(support: sqlite3.Connection) -> None:
    """Indexes on the changed-at columns, and statistics."""
    for name in SUPPORT:
        support.execute(f"CREATE INDEX {name}_changed ON {name} (changed)")
    support.execute("ANALYZE")


def replace_rows(
    support: sqlite3.Connection, name: str, rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert rows, or replace those of the same key."""
    if rows:
        columns = list(rows[0])
        listed, marks = ", ".join(columns), ", ".join(f":{column}" for column in columns)
        support.executemany(f"INSERT OR REPLACE INTO {name} ({listed}) VALUES ({marks})", rows)


def count_support(support: sqlite3.Connection) -> dict[str, int]:
    """Rows of each table of ``support``."""
    return {name: support.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in SUPPORT}
