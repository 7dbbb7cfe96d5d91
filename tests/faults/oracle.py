"""The oracle: what landed, and what was set aside, against what the source holds, by content.

Both sides become canonical rows by the types of the contract, so that a source in PostgreSQL,
MariaDB or SQLite compares alike; then their count, distinct keys, sums and MD5 must agree.

    rows = oracle.read(crm, "SELECT sku AS source_id, title AS name, price FROM goods")
    oracle.assert_same(rows, warehouse, source="crm", entity="product")
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from include import contracts

Row = dict[str, Any]
CENT = Decimal("0.000001")  # numeric(18,6), as every amount is landed
WIDE = Context(prec=60, rounding=ROUND_HALF_UP)  # as PostgreSQL rounds a numeric
TRUE = {"true", "t", "1", "y", "yes"}
SHOWN = 5


@dataclass(frozen=True)
class Content:
    """What is compared first; ``md5`` is of the canonical rows in their order."""

    rows: int
    keys: int
    sums: dict[str, Decimal]
    md5: str


def read(db: Any, query: str) -> list[Row]:
    """The rows of ``query`` from any DB-API connection, by column name.

    Named as landing names them: ``source_id`` and columns of the entity's contract.
    """
    cursor = db.cursor()
    cursor.execute(query)
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    cursor.close()
    return rows


def content(rows: Iterable[Row], kinds: dict[str, str], *, zone: str = "UTC") -> Content:
    """The content of rows, each column made canonical by its type in ``kinds``."""
    made = [canonical(row, kinds, zone) for row in rows]
    amounts = [name for name, kind in kinds.items() if kind.startswith("numeric")]
    sums = {
        name: sum((Decimal(row[name]) for row in made if row[name] is not None), Decimal(0))
        for name in amounts
    }
    ordered = sorted(repr([row[name] for name in sorted(kinds)]) for row in made)
    digest = hashlib.md5("\n".join(ordered).encode(), usedforsecurity=False).hexdigest()
    return Content(len(made), len({row["source_id"] for row in made}), sums, digest)


def canonical(row: Row, kinds: dict[str, str], zone: str) -> dict[str, str | None]:
    """The row as text, the same for every database that holds the same values."""
    return {name: _canonical(row[name], kind, zone) for name, kind in kinds.items()}


def _canonical(value: Any, kind: str, zone: str) -> str | None:
    if isinstance(value, bytes) and kind != "bytea":
        value = value.decode()
    if value is None:
        return None
    if kind.startswith("numeric"):
        return str(Decimal(str(value)).quantize(CENT, context=WIDE))
    if kind in {"integer", "bigint"}:
        return str(int(Decimal(str(value))))
    if kind == "boolean":
        return str(str(value).lower() in TRUE)
    if kind == "timestamptz":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
        return moment.astimezone(UTC).isoformat(timespec="microseconds")
    if kind == "date":
        day = value if isinstance(value, date) else datetime.fromisoformat(str(value))
        return f"{day:%Y-%m-%d}"
    if kind == "jsonb":
        return json.dumps(value if isinstance(value, dict) else json.loads(value), sort_keys=True)
    return str(value)


def assert_same(
    source_rows: list[Row],
    warehouse: psycopg.Connection[Any],
    *,
    source: str,
    entity: str,
    zone: str = "UTC",
) -> None:
    """Fail unless every row of the source is landed as it is, once, or set aside under its key.

    Parameters
    ----------
    source_rows : all rows of the source, as ``read`` gives them; their columns are compared.
    warehouse : outside of a transaction, or in one that began after the load.
    zone : of the source's times without an offset.
    """
    if not source_rows:
        assert _landed(warehouse, source, entity, ["source_id"]) == [], (
            f"landing.{entity} of {source} has rows, the source has none"
        )
        return
    types = {column.name: column.type for column in contracts.load(f"landing.{entity}").columns}
    kinds = {name: types[name] for name in source_rows[0]}
    landed = _landed(warehouse, source, entity, list(kinds))
    aside = _set_aside(warehouse, source, entity)
    wanted = [row for row in source_rows if not _is_aside(row["source_id"], aside)]
    given = [row for row in landed if not _is_aside(row["source_id"], aside)]
    expected, found = content(wanted, kinds, zone=zone), content(given, kinds)
    if expected != found:
        raise AssertionError(
            f"landing.{entity} of {source}: "
            f"{_difference(wanted, given, kinds, zone)}; expected {expected}, found {found}"
        )


def _landed(db: psycopg.Connection[Any], source: str, entity: str, columns: list[str]) -> list[Row]:
    listed = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, columns))
    query = psycopg.sql.SQL("SELECT {} FROM {} WHERE source = {} AND deleted_at IS NULL").format(
        listed, psycopg.sql.Identifier("landing", entity), psycopg.sql.Literal(source)
    )
    return read(db, query)  # type: ignore[arg-type]  # psycopg takes more than text


def _set_aside(db: psycopg.Connection[Any], source: str, entity: str) -> set[str]:
    """MD5 of the keys in the quarantine: of the key itself, or of the one in the payload."""
    rows = db.execute(
        """SELECT row_key_hash FROM ops.quarantine WHERE source = %(source)s
           AND entity = %(entity)s
           UNION SELECT md5(payload ->> 'source_id') FROM ops.quarantine
           WHERE source = %(source)s AND entity = %(entity)s
           AND payload ->> 'source_id' IS NOT NULL""",
        {"source": source, "entity": entity},
    )
    return {str(row[0]) for row in rows}


def _is_aside(key: Any, aside: set[str]) -> bool:
    text = key.decode() if isinstance(key, bytes) else str(key)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() in aside


def _difference(wanted: list[Row], given: list[Row], kinds: dict[str, str], zone: str) -> str:
    """In words: which keys are lost, too many, or other than in the source."""
    expected = {row["source_id"]: row for row in (canonical(r, kinds, zone) for r in wanted)}
    found = [canonical(row, kinds, "UTC") for row in given]
    times = Counter(row["source_id"] for row in found)
    changed = [
        f"{row['source_id']} {name} is {row[name]!r}, not {expected[row['source_id']][name]!r}"
        for row in found
        if row["source_id"] in expected
        for name in kinds
        if row[name] != expected[row["source_id"]][name]
    ]
    parts = {
        "lost": sorted(str(key) for key in expected if not times[key]),
        "doubled": sorted(str(key) for key, count in times.items() if count > 1),
        "made up": sorted(str(key) for key in times if key not in expected),
        "changed": changed,
    }
    said = [
        f"{len(keys)} {word} ({', '.join(keys[:SHOWN])}{' ...' if len(keys) > SHOWN else ''})"
        for word, keys in parts.items()
        if keys
    ]
    return ", ".join(said) or f"rows repeated in the source: {len(wanted) - len(expected)}"
