"""The warehouse's ground: contracts into tables, identifiers and texts in SQL, locks."""

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from psycopg import sql

from include import contracts, ddl, locks
from include.contracts import Table
from include.ddl import CURRENT as CURRENT
from include.ddl import Found, There
from include.ddl import literal as literal
from include.ddl import name as name
from include.ddl import quoted as quoted
from include.ddl import text as text
from include.ddl import view_columns as view_columns
from include.errors import ContractError
from include.locks import Connection as Connection

log = logging.getLogger(__name__)

PATIENCE_S = 60.0


def lock(db: Connection, thing: str) -> None:
    """Wait for, and hold until the transaction ends, the advisory lock named ``thing``."""
    db.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [thing])


def fingerprint() -> str:
    """A hash of everything that ``deploy`` would put into the warehouse."""
    digest = hashlib.sha256(repr(contracts.all_tables()).encode())
    for module in (__file__, ddl.__file__, contracts.__file__):
        digest.update(Path(module).read_bytes())
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


def deploy(db: Connection, *, patience_s: float | None = None) -> bool:
    """Bring the warehouse to the contracts; return False when it already was.

    Adds schemas, tables, columns (at the end), indexes, comments, views and the reader's rights;
    what is as it should be is not touched. Each change of what is there is a transaction of its
    own that has its locks at once or not at all, so no reader ever queues behind it. Stopped at
    any point, the next deploy goes on from there.

    Parameters
    ----------
    db : not in a transaction, which would keep the locks to its end.
    patience_s : how long to try again, in all, while others use what must change; default
        ``PATIENCE_S``.

    Raises
    ------
    ContractError
        If something would have to be removed or retyped: that loses data, so a person does it.
        Nothing was changed.
    ResourceError
        If a lock could not be had in that time; the message names who holds it.
    """
    wanted = fingerprint()
    with db.transaction():  # so that none is left open behind it
        if deployed(db) == wanted:
            return False
    with _alone(db):
        if deployed(db) == wanted:  # by another one meanwhile
            return False
        _bring(db, wanted, time.monotonic() + (PATIENCE_S if patience_s is None else patience_s))
    log.info("deployed %d contracts", len(contracts.all_tables()))
    return True


@contextmanager
def _alone(db: Connection) -> Iterator[None]:
    """Keep other deploys waiting; each statement commits by itself meanwhile."""
    before = db.autocommit
    db.autocommit = True
    db.execute("SELECT pg_advisory_lock(hashtextextended('portrait.deploy', 0))")
    try:
        yield
    finally:
        if not db.closed:
            db.execute("SELECT pg_advisory_unlock(hashtextextended('portrait.deploy', 0))")
            db.autocommit = before


def _bring(db: Connection, wanted: str, deadline: float) -> None:
    tables = contracts.all_tables()
    stored = [table for table in tables if table.storage != "view"]
    stored += [contracts.history(table) for table in tables if table.storage == "source"]
    there = _there(db)
    seen = [table for table in tables if table.storage == "view"]
    if lost := ddl.losses([*stored, *seen], there):
        more = f"; {len(lost) - 1} more like it" if lost[1:] else ""
        raise ContractError(f"{lost[0]}{more}; nothing was changed")
    kept = [table for table in stored if table.full_name in there]
    _make(db, [table for table in stored if table not in kept])
    for table in kept:
        _change_table(db, table, there[table.full_name], deadline)
    reader = _reader(db)
    for known, some in groupby(ddl.views(tables), key=lambda each: each[0] in there):
        if known:
            for view, table in some:
                _change_view(db, view, table, there[view], reader, deadline)
        else:
            _make_views(db, list(some), reader, deadline)
    for table in kept:  # last: what takes long is not to use up the patience for the others
        _index(db, table, deadline)
    if reader is not None:  # without it each run asks for it again
        _grant(db, reader)
        with db.transaction():
            db.execute("DELETE FROM ops.deployment")
            db.execute("INSERT INTO ops.deployment VALUES (%s)", [wanted])


def _there(db: Connection) -> dict[str, There]:
    """The tables and views of our schemas."""
    rows = db.execute(
        """SELECT n.nspname || '.' || c.relname, c.relkind::text,
                  obj_description(c.oid, 'pg_class'), a.attname::text,
                  array_position(k.conkey, a.attnum), format_type(a.atttypid, a.atttypmod),
                  a.attnotnull, col_description(c.oid, a.attnum)
           FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
           JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           LEFT JOIN pg_constraint AS k ON k.conrelid = c.oid AND k.contype = 'p'
           WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
           ORDER BY c.oid, a.attnum""",
        [list(contracts.SCHEMAS)],
    ).fetchall()
    found: dict[str, There] = {}
    places: dict[str, dict[int, str]] = {}
    for full_name, kind, comment, column, place, *rest in rows:
        found.setdefault(full_name, There(kind, comment)).columns[column] = Found(*rest)
        places.setdefault(full_name, {}).update({place: column} if place else {})
    return {
        full_name: replace(
            one, key=tuple(column for _, column in sorted(places[full_name].items()))
        )
        for full_name, one in found.items()
    }


def _make(db: Connection, tables: Sequence[Table]) -> None:
    """Make the schemas, the functions and new tables, which nobody uses yet, all at once."""
    known = {schema for (schema,) in db.execute("SELECT nspname FROM pg_namespace").fetchall()}
    statements: list[sql.Composable] = [
        sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema))
        for schema in contracts.SCHEMAS
        if schema not in known
    ]
    statements.append(text(ddl.FUNCTIONS))
    statements.append(text("CREATE TABLE IF NOT EXISTS ops.deployment (fingerprint text NOT NULL)"))
    for table in tables:
        statements.append(ddl.create(table))
        statements += ddl.indexes(table).values()
        statements += ddl.table_comments(table, There())
    db.execute(sql.SQL("; ").join(statements), prepare=False)


def _change_table(db: Connection, table: Table, there: There, deadline: float) -> None:
    """Add what a table lacks."""
    if lacks := ddl.alter(table, there):
        locks.change_table(db, table.full_name, "ACCESS EXCLUSIVE", lacks, deadline=deadline)
        log.info("%s: brought to its contract", table.full_name)
    if said := ddl.table_comments(table, there):
        locks.change_table(db, table.full_name, "SHARE UPDATE EXCLUSIVE", said, deadline=deadline)


def _index(db: Connection, table: Table, deadline: float) -> None:
    """Build the indexes that a table lacks; who writes to it waits meanwhile, readers do not."""
    for index, statement in ddl.indexes(table).items():
        row = db.execute("SELECT to_regclass(%s)", [f'{table.schema}."{index}"']).fetchone()
        if row == (None,):
            locks.change_table(db, table.full_name, "SHARE", [statement], deadline=deadline)
            log.info("%s: built %s", table.full_name, index)


def _make_views(
    db: Connection, views: Sequence[tuple[str, Table]], reader: str | None, deadline: float
) -> None:
    """Make views that nobody reads yet, all at once."""
    statements: list[sql.Composable] = []
    for view, table in views:
        statements += _replaced(view, ddl.view_query(table, There()), reader)
        statements += ddl.view_comments(view, table, There())
    locks.change_view(db, views[0][0], statements, deadline=deadline)


def _change_view(
    db: Connection, view: str, table: Table, there: There, reader: str | None, deadline: float
) -> None:
    """Replace a view if it selects something else, and mend its comments."""
    query = ddl.view_query(table, there)
    statements: list[sql.Composable] = []
    if locks.patiently(
        db, view, "ACCESS EXCLUSIVE", lambda ms: _differs(db, view, query, ms), deadline=deadline
    ):
        statements += _replaced(view, query, reader)
    statements += ddl.view_comments(view, table, there)
    if statements:
        locks.change_view(db, view, statements, deadline=deadline)


def _replaced(view: str, query: sql.Composed, reader: str | None) -> list[sql.Composed]:
    statements = [sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(name(view), query)]
    if reader is not None:
        to = sql.Identifier(reader)
        statements.append(sql.SQL("GRANT SELECT ON {} TO {}").format(name(view), to))
    return statements


def _differs(db: Connection, view: str, query: sql.Composed, wait_ms: int) -> bool:
    """Whether a view selects something else than ``query``: PostgreSQL compares the two."""
    with db.transaction(force_rollback=True):
        db.execute(locks.within(wait_ms))
        db.execute(sql.SQL("CREATE TEMP VIEW portrait_wanted AS {}").format(query))
        row = db.execute(
            """SELECT pg_get_viewdef('pg_temp.portrait_wanted'::regclass)
                   <> pg_get_viewdef(%s::regclass)""",
            [view],
        ).fetchone()
    return row == (True,)


def _reader(db: Connection) -> str | None:
    """The role that BI tools log in with, made where that is allowed."""
    role = reader_role()
    if db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        return role
    may = db.execute("SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user").fetchone()
    if not (may and may[0]):
        log.warning("no role %s and no right to create it: ask for it, then run again", role)
        return None
    db.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
    return role


def _grant(db: Connection, role: str) -> None:
    """Let the reader's role read ``bi`` and nothing else; no lock of a table is needed for that."""
    lacks = db.execute(
        """WITH r AS (SELECT %(role)s::text AS role)
           SELECT format('REVOKE ALL ON SCHEMA %%I FROM %%I', nspname, role)
           FROM r, pg_namespace AS n
           WHERE nspname = ANY(%(own)s) AND has_schema_privilege(role, n.oid, 'USAGE, CREATE')
           UNION ALL SELECT format('GRANT USAGE ON SCHEMA bi TO %%I', role) FROM r
           WHERE NOT has_schema_privilege(role, 'bi', 'USAGE')
           UNION ALL SELECT format('GRANT SELECT ON bi.%%I TO %%I', relname, role)
           FROM r, pg_class AS c WHERE relnamespace = 'bi'::regnamespace AND relkind = 'v'
             AND NOT has_table_privilege(role, c.oid, 'SELECT')""",
        {"role": role, "own": list(contracts.SCHEMAS[:-1])},
    ).fetchall()
    for (statement,) in lacks:
        db.execute(text(statement))
