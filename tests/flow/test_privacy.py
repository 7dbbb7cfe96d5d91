"""Personal data stays in ``landing``: what lies beyond is searched value by value."""

import re
from collections.abc import Iterator

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql

PERSONAL = [
    "first_name", "last_name", "full_name", "email", "phone", "street", "postal_code",
    "birth_date",
]  # fmt: skip
BEYOND = ("bi", "core", "mart", "ops")
HOLDS_PAYLOAD = ("ops", "quarantine", "payload")  # rows that were set aside, whole, for an operator
CALENDAR = ("bi", "dim_date")  # holds every day, and so every birthday
NUMBER = re.compile(r"\+?\d(?:[ ()/.-]{0,2}\d){6,}")
MAIL = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+")


def digits(text: str) -> str:
    return re.sub(r"\D", "", text)


class Secrets:
    """The values of landing's personal columns, now and in the history."""

    def __init__(self, db: psycopg.Connection) -> None:
        self.values: dict[str, set[str]] = {}
        for column in PERSONAL:
            query = sql.SQL(
                """SELECT DISTINCT lower(btrim({c}::text)) FROM (
                       SELECT {c} FROM landing.customer
                       UNION ALL SELECT {c} FROM landing.customer_history) AS c
                   WHERE btrim({c}::text) <> ''"""
            ).format(c=sql.Identifier(column))
            self.values[column] = {value for (value,) in db.execute(query)}
        self.whole = set().union(*self.values.values())
        self.phones = {digits(phone) for phone in self.values["phone"]}
        self.lengths = {len(phone) for phone in self.phones}

    def within(self, cells: set[str]) -> set[str]:
        """Those of the cells, lower case and trimmed, that give something away.

        A name, street, birth date or postal code as a whole cell (a short one may well be part of
        another word); an e-mail or a telephone number anywhere. No column is left out: that no
        brand or town of the demo is called like a person is so for this seed.
        """
        found = cells & self.whole
        for cell in cells:
            if not self.values["email"].isdisjoint(MAIL.findall(cell)):
                found.add(cell)
            if any(self._holds_phone(digits(run)) for run in NUMBER.findall(cell)):
                found.add(cell)
        return found

    def _holds_phone(self, run: str) -> bool:
        return any(
            run[start : start + length] in self.phones
            for length in self.lengths
            for start in range(len(run) - length + 1)
        )


def text_columns(db: psycopg.Connection, schemas: tuple[str, ...]) -> list[tuple[str, str, str]]:
    return db.execute(
        """SELECT n.nspname::text, c.relname::text, a.attname::text
           FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
           JOIN pg_namespace AS n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0
             AND NOT c.relispartition AND NOT a.attisdropped AND a.atttypid = ANY(
               '{text,varchar,date,timestamp,timestamptz,json,jsonb,text[]}'::regtype[])
           ORDER BY 1, 2, 3""",
        [list(schemas)],
    ).fetchall()


def cells(db: psycopg.Connection, place: tuple[str, str, str]) -> set[str]:
    schema, table, column = place
    query = sql.SQL(
        "SELECT DISTINCT lower(btrim(CASE WHEN pg_typeof({c}) = ANY('{{timestamp,timestamptz}}'"
        "::regtype[]) THEN left({c}::text, 10) ELSE {c}::text END)) FROM {t} WHERE {c} IS NOT NULL"
    ).format(c=sql.Identifier(column), t=sql.Identifier(schema, table))
    return {cell for (cell,) in db.execute(query)}


@pytest.fixture(scope="module")
def db(prepared) -> Iterator[psycopg.Connection]:
    with prepared.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def secrets(db) -> Secrets:
    found = Secrets(db)
    assert all(len(values) > 50 for values in found.values.values()), "the CRM lacks some of them"
    return found


def test_the_search_itself_finds_what_is_there(db, secrets):
    for column in PERSONAL:
        held = cells(db, ("landing", "customer", column))
        assert secrets.within(held) == held
    mail, phone = min(secrets.values["email"]), min(secrets.values["phone"])
    told = {f"write to {mail}, please", f"call {phone} now", "nothing to see"}
    assert secrets.within(told) == told - {"nothing to see"}


def test_no_personal_value_is_in_bi_core_mart_or_ops(db, secrets):
    places = [
        place
        for place in text_columns(db, BEYOND)
        if place != HOLDS_PAYLOAD and place[:2] != CALENDAR
    ]
    assert {schema for schema, _, _ in places} == set(BEYOND)
    given_away = {place: secrets.within(cells(db, place)) for place in places}
    assert {place: found for place, found in given_away.items() if found} == {}


def test_no_personal_value_is_in_any_parquet_file(prepared, secrets):
    files = sorted((prepared.home / "snapshots").rglob("*.parquet"))
    assert {"customer.parquet", "profile_2026-03-02.parquet"} <= {path.name for path in files}
    for path in files:
        table = pq.read_table(path)
        for column in table.column_names:
            held = {str(value).strip().lower() for value in table[column].unique().to_pylist()}
            if str(table.schema.field(column).type).startswith("timestamp"):
                held = {value[:10] for value in held}
            assert secrets.within(held) == set(), (path.name, column)


def test_bi_reader_is_refused_everything_outside_bi(prepared, db):
    relations = db.execute(
        """SELECT n.nspname::text, c.relname::text FROM pg_class AS c
           JOIN pg_namespace AS n ON n.oid = c.relnamespace
           WHERE n.nspname IN ('landing', 'core', 'mart', 'ops', 'bi')
             AND c.relkind IN ('r', 'p', 'v', 'm')"""
    ).fetchall()
    allowed = set()
    with prepared.connect(reader=True) as reader:
        for schema, table in relations:
            query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(schema, table))
            try:
                reader.execute(query)
                allowed.add((schema, table))
            except psycopg.errors.InsufficientPrivilege:
                continue
    assert {schema for schema, _ in relations} == {"landing", "core", "mart", "ops", "bi"}
    assert allowed == {(schema, table) for schema, table in relations if schema == "bi"}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM landing.customer",
        "UPDATE bi.pipeline_run SET dag = ''",
        "CREATE TABLE bi.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE SCHEMA mine",
    ],
)
def test_bi_reader_writes_nothing_anywhere(prepared, statement):
    with prepared.connect(reader=True) as reader:
        reader.execute("SET default_transaction_read_only = off")  # anybody may
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement.encode())
