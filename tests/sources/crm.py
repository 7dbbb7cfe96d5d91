"""The tables of a product, rows in them, a load of all that is mapped, and what has landed."""

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from include import landing, sources

HERE = Path(__file__).parent


def create(db: Any, product: str) -> None:
    """The tables of ``<product>.sql``, with the vendor's names and types."""
    for statement in (HERE / f"{product}.sql").read_text().split(";\n"):
        if statement.strip():
            db.execute(statement)


def insert(db: Any, table: str, columns: str, *rows: tuple) -> None:
    """Rows of the columns named (blanks between) into ``table``, quoted as its database does."""
    quote = '"' if isinstance(db, psycopg.Connection) else "`"
    listed = ", ".join(f"{quote}{column}{quote}" for column in columns.split())
    marks = ", ".join(["%s"] * len(columns.split()))
    for row in rows:
        db.execute(f"INSERT INTO {quote}{table}{quote} ({listed}) VALUES ({marks})", row)


def fill(db: Any, table: str, columns: str, *rows: tuple) -> None:
    """More columns of rows that are there; the first column is their key."""
    key, *others = columns.split()
    sets = ", ".join(f"{column} = %s" for column in others)
    for row in rows:
        db.execute(f"UPDATE {table} SET {sets} WHERE {key} = %s", (*row[1:], row[0]))


def load(name: str, db: psycopg.Connection, run_id: str = "r1") -> dict[str, tuple]:
    """Entity -> rows inserted, updated, deleted and set aside by a load of it, where any was."""
    source, counts = sources.load(name), {}
    for entity in source.entities:
        loaded = landing.load(source, entity, db, run_id=run_id)
        db.commit()
        counts[entity] = (loaded.inserted, loaded.updated, loaded.deleted, loaded.quarantined)
    return {entity: count for entity, count in counts.items() if any(count)}


def rows_read(name: str, entity: str, db: psycopg.Connection, run_id: str = "r2") -> int:
    """How many rows one more load of an entity reads."""
    read = landing.load(sources.load(name), entity, db, run_id=run_id).read
    db.commit()
    return read


def plain(value: object) -> object:
    """A number without trailing zeros and a time to the second, as text; else the value."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    return value


def landed(db: psycopg.Connection, entity: str, columns: str) -> list[tuple]:
    """What landed and is not deleted, by key; numbers and times as text."""
    rows = db.execute(
        f"""SELECT {columns} FROM landing.{entity} WHERE deleted_at IS NULL
            ORDER BY source_id COLLATE "C" """
    ).fetchall()
    return [tuple(map(plain, row)) for row in rows]


def deleted(db: psycopg.Connection, entity: str) -> list[str]:
    """Keys of the rows that are marked as deleted."""
    found = f"SELECT source_id FROM landing.{entity} WHERE deleted_at IS NOT NULL"
    return [key for (key,) in db.execute(f'{found} ORDER BY source_id COLLATE "C"').fetchall()]


def quarantined(db: psycopg.Connection) -> list[tuple]:
    """Entity, check and column of the rows set aside."""
    return db.execute(
        'SELECT entity, "check", "column" FROM ops.quarantine ORDER BY 1, 2, 3'
    ).fetchall()


def versions(db: psycopg.Connection, name: str) -> list[tuple]:
    """Where each landed row of a source lies and who wrote it: the same unless one was written."""
    parts = " UNION ALL ".join(
        f"SELECT '{entity}', source_id, xmin::text, ctid::text FROM landing.{entity}"
        for entity in sources.load(name).entities
    )
    return db.execute(f"{parts} ORDER BY 1, 2").fetchall()


def restore(dump: Path, db: psycopg.Connection) -> None:
    """A dump of pg_dump in plain SQL, COPY and all."""
    pieces = re.split(r"^(COPY .*? FROM stdin;)\n(.*?)^\\\.\n", dump.read_text(), flags=re.M | re.S)
    for statements, copy, lines in zip(
        pieces[::3], [*pieces[1::3], None], [*pieces[2::3], None], strict=True
    ):
        db.execute(statements)
        if copy is not None:
            with db.cursor() as cursor, cursor.copy(copy) as sink:
                sink.write(lines)
