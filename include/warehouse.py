"""The warehouse's ground: contracts into tables, identifiers and texts in SQL, locks."""

import hashlib
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include import contracts
from include.contracts import Column, Table
from include.errors import ContractError, ResourceError

log = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]
LOCK_TIMEOUT = "2s"
ATTEMPTS = 10
SAME_TYPE = {"timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone"}


def text(query: str) -> sql.SQL:
    """Our own SQL text, from this repository; values are bound, identifiers quoted elsewhere."""
    return sql.SQL(query)


def quoted(column: str) -> str:
    """``column`` as an identifier inside a text of our own."""
    return '"' + column.replace('"', '""') + '"'


def literal(value: str) -> str:
    """``value`` as a text inside a query of our own; COPY takes no bound values."""
    return "'" + value.replace("'", "''") + "'"


def name(table: str) -> sql.Identifier:
    """``schema.table`` as a quoted identifier."""
    return sql.Identifier(*table.split("."))


def lock(db: Connection, thing: str) -> None:
    """Wait for, and hold until the transaction ends, the advisory lock named ``thing``."""
    db.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [thing])


def fingerprint() -> str:
    """A hash of everything that ``deploy`` would put into the warehouse."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(Path(contracts.__file__).read_bytes())
    for path in sorted(contracts.HERE.rglob("*.yaml")):
        digest.update(str(path.relative_to(contracts.HERE)).encode())
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()[:32]} {reader_role()}"


def reader_role() -> str:
    """The role that BI tools log in with."""
    return os.environ.get("PORTRAIT_BI_ROLE", "bi_reader")


def deployed(db: Connection) -> str | None:
    """The fingerprint that was deployed last, or None."""
    row = db.execute("SELECT to_regclass('ops.deployment')").fetchone()
    if row is None or row[0] is None:
        return None
    row = db.execute("SELECT fingerprint FROM ops.deployment").fetchone()
    return None if row is None else str(row[0])


def deploy(db: Connection) -> bool:
    """Bring the warehouse to the contracts; return False when it already was.

    Adds schemas, tables, columns (at the end), comments, views and the reader's rights, all in
    one transaction that waits for locks only a moment at a time, so readers never queue behind it.

    Raises
    ------
    ContractError
        If a column would have to be removed or retyped: that loses data, so a person does it.
    ResourceError
        If a lock could not be had in ``ATTEMPTS`` attempts; the message names who holds it.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with db.transaction():
                return _deploy(db)
        except psycopg.errors.LockNotAvailable:
            log.warning("deploy: a table is in use, attempt %d of %d", attempt, ATTEMPTS)
            time.sleep(attempt * 0.2)  # the lock's holder gives no event to wait for
    holders = db.execute(
        """SELECT string_agg(format('pid %s (%s)', pid, application_name), ', ')
           FROM pg_stat_activity WHERE xact_start < now() - interval '1 s'
           AND pid <> pg_backend_pid() AND datname = current_database()"""
    ).fetchone()
    db.rollback()
    raise ResourceError(
        f"deploy: tables stayed locked by {holders[0] if holders else 'nobody visible'}; "
        "end that session or run again later; nothing was changed"
    )


def _deploy(db: Connection) -> bool:
    lock(db, "portrait.deploy")
    wanted = fingerprint()
    if deployed(db) == wanted:
        return False
    db.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    for schema in contracts.SCHEMAS:
        db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    db.execute(text(FUNCTIONS))
    for table in contracts.all_tables():
        if table.storage != "view":
            deploy_table(db, table)
        if table.storage == "source":
            deploy_table(db, contracts.history(table))
    for table in contracts.all_tables():
        if table.storage == "view" or table.bi_view:
            deploy_view(db, table)
    grant(db)
    db.execute("CREATE TABLE IF NOT EXISTS ops.deployment (fingerprint text NOT NULL)")
    db.execute("DELETE FROM ops.deployment")
    db.execute("INSERT INTO ops.deployment VALUES (%s)", [wanted])
    log.info("deployed %d contracts", len(contracts.all_tables()))
    return True


FUNCTIONS = r"""
CREATE OR REPLACE FUNCTION ops.to_odd_moment(value text, zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF value !~ '^\s*[0-9]{4}[-/.]?[0-9]' THEN RETURN NULL; END IF;  -- 1/2/2026, yesterday
    IF value ~ '(Z|[+-][0-9]{2}(:?[0-9]{2})?)$' AND value ~ ':' THEN
        RETURN value::timestamptz;
    END IF;
    RETURN value::timestamp AT TIME ZONE zone;
EXCEPTION WHEN data_exception OR invalid_parameter_value THEN RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION ops.to_moment(value text, zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$  -- a block that can fail costs a subtransaction
DECLARE
    month int;
    days int;
BEGIN
    IF value ~ ('^[12][0-9]{3}-(0[1-9]|1[0-2])-(29|3[01])'
                '([ T]([01][0-9]|2[0-3])(:[0-5][0-9]){1,2}(\.[0-9]+)?)?$')
    THEN
        month := substr(value, 6, 2)::int;
        days := CASE WHEN month IN (4, 6, 9, 11) THEN 30 WHEN month <> 2 THEN 31
                     WHEN substr(value, 1, 4)::int % 4 = 0 AND (substr(value, 1, 4)::int % 100 <> 0
                          OR substr(value, 1, 4)::int % 400 = 0) THEN 29 ELSE 28 END;
        IF substr(value, 9, 2)::int <= days THEN
            RETURN value::timestamp AT TIME ZONE zone;
        END IF;
    END IF;
    RETURN ops.to_odd_moment(value, zone);
END $$;
CREATE OR REPLACE FUNCTION ops.to_day(value text) RETURNS date
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF value !~ '^\s*[0-9]{4}[-/.]?[0-9]' THEN RETURN NULL; END IF;
    RETURN value::timestamp::date;
EXCEPTION WHEN data_exception THEN RETURN NULL;
END $$;
"""


def _definition(column: Column) -> sql.Composed:
    return sql.SQL("{} {}{}{}{}").format(
        sql.Identifier(column.name),
        text(column.type),
        text(f' COLLATE "{column.collation}"' if column.collation else ""),
        sql.SQL(" NOT NULL") if column.required else sql.SQL(""),
        text(f" DEFAULT {column.default}" if column.default else ""),
    )


def deploy_table(db: Connection, table: Table) -> None:
    """Create ``table``, or add the columns that it lacks at its end; refuse anything that loses."""
    existing = _types(db, table.full_name)
    if not existing:
        parts = [_definition(column) for column in table.columns]
        if table.key:
            keys = sql.SQL(", ").join(map(sql.Identifier, table.key))
            parts.append(sql.SQL("PRIMARY KEY ({})").format(keys))
        by = {
            "source": " PARTITION BY LIST (source)",
            "generation": " PARTITION BY LIST (generation)",
        }
        db.execute(
            sql.SQL("CREATE TABLE {} ({}){}").format(
                name(table.full_name),
                sql.SQL(", ").join(parts),
                text(by.get(table.storage, "")),
            )
        )
    else:
        _refuse_loss(table, existing)
        filled = _filled(db, table.full_name)
        for column in table.columns:
            if column.name in filled and not column.required:
                db.execute(
                    sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL").format(
                        name(table.full_name), sql.Identifier(column.name)
                    )
                )
            if column.name not in existing:  # nullable: the rows that are there have no value
                db.execute(
                    sql.SQL("ALTER TABLE {} ADD COLUMN {}").format(
                        name(table.full_name), _definition(replace(column, required=False))
                    )
                )
    _comment(db, "TABLE", table.full_name, table.description, table.columns)


def _types(db: Connection, full_name: str) -> dict[str, str]:
    rows = db.execute(
        """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
           WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
        [full_name],
    ).fetchall()
    return dict(rows)


def _filled(db: Connection, full_name: str) -> list[str]:
    """The columns that a table does not let be null."""
    return [
        row[0]
        for row in db.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnotnull",
            [full_name],
        )
    ]


def _refuse_loss(table: Table, existing: dict[str, str]) -> None:
    wanted = {column.name: SAME_TYPE.get(column.type, column.type) for column in table.columns}
    for column, kind in existing.items():
        if column not in wanted:
            raise ContractError(
                f"{table.full_name}.{column} is in the warehouse but not in its contract: "
                "put it back, or drop it by hand (ALTER TABLE ... DROP COLUMN ... CASCADE); "
                "nothing was changed"
            )
        if wanted[column] != kind:
            raise ContractError(
                f"{table.full_name}.{column} is {kind}, its contract says {wanted[column]}: "
                "add a column under another name, or alter it by hand; nothing was changed"
            )


def _comment(
    db: Connection, kind: str, full_name: str, description: str, columns: Iterable[Column]
) -> None:
    db.execute(
        sql.SQL("COMMENT ON {} {} IS {}").format(
            text(kind), name(full_name), sql.Literal(description)
        )
    )
    for column in columns:
        meaning = column.description
        if column.unit:
            meaning += f" Unit: {column.unit}."
        if column.formula:
            meaning += f" Formula: {column.formula}."
        db.execute(
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                name(full_name), sql.Identifier(column.name), sql.Literal(meaning)
            )
        )


CURRENT = """(SELECT coalesce(nullif(current_setting('portrait.generation', true), '')::bigint,
    (SELECT generation FROM ops.current_generation)))"""


def view_columns(table: Table) -> list[Column]:
    """The columns of a table's BI view: its own key first, then the rest, in contract order."""
    shown = [column for column in table.columns if column.in_bi]
    brought = {column.name for column in contracts.BROUGHT[table.storage]}
    keys = [column for column in shown if column.key is not None and column.name not in brought]
    return keys + [column for column in shown if column not in keys]


def deploy_view(db: Connection, table: Table) -> None:
    """Create or extend the BI view of ``table``; one of generations reads the pointer row."""
    view = f"bi.{table.bi_view or table.name}"
    places = list(_types(db, view))  # a view that is there takes new columns at its end only
    columns = sorted(
        view_columns(table),
        key=lambda column: places.index(column.name) if column.name in places else len(places),
    )
    listed = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    if table.query:
        query = sql.SQL("SELECT {} FROM ({}) AS q").format(listed, text(table.query))
    else:
        query = sql.SQL("SELECT {} FROM {}").format(listed, name(table.full_name))
        if table.storage == "generation":
            query += text(f" WHERE generation = {CURRENT}")
    db.execute(sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(name(view), query))
    _comment(db, "VIEW", view, f"{table.description} One row: {table.grain}.", columns)


def grant(db: Connection) -> None:
    """Let the reader's role read ``bi`` and nothing else; create it where that is allowed."""
    role = reader_role()
    known = db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    may = db.execute("SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user").fetchone()
    if known is None and not (may and may[0]):
        log.warning("no role %s and no right to create it: ask for it, then run again", role)
        return
    quoted = sql.Identifier(role)
    if known is None:
        db.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(quoted))
    for schema in contracts.SCHEMAS[:-1]:
        db.execute(
            sql.SQL("REVOKE ALL ON SCHEMA {} FROM {}").format(sql.Identifier(schema), quoted)
        )
    db.execute(sql.SQL("GRANT USAGE ON SCHEMA bi TO {}").format(quoted))
    db.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA bi TO {}").format(quoted))
