"""SQLite, asked by ``make doctor``."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import Any

from include import connections
from include.errors import ResourceError
from include.local.probes.contract import STATEMENT_SECONDS, Attempt, Relation, Server

STEPS = 100_000
"""Instructions of SQLite's machine between two looks at the time."""


class SqliteProbe:
    """A file, opened read-only."""

    dialect = "sqlite"
    errors = sqlite3.Error

    def __init__(self, connection_id: str) -> None:
        self.db = connections.connect_sqlite(connection_id)
        self.db.execute(f"PRAGMA busy_timeout = {STATEMENT_SECONDS * 1000}")
        self.ends = 0.0
        self.db.set_progress_handler(lambda: time.monotonic() > self.ends, STEPS)
        try:
            self.ask("SELECT count(*) FROM sqlite_master")
        except sqlite3.DatabaseError as error:
            where = connections.address(connection_id).where
            variable = connections.variable(connection_id)
            self.db.close()
            raise ResourceError(
                f"{connection_id}: cannot read {where}: {error}; check {variable}"
            ) from error

    def close(self) -> None:
        """End the connection."""
        self.db.close()

    def ask(self, query: str, bound: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query; an OperationalError "interrupted" when it takes too long."""
        self.ends = time.monotonic() + STATEMENT_SECONDS
        return self.db.execute(query, bound).fetchall()

    def server(self) -> Server:
        """Version and encoding; its clock is this machine's."""
        ((encoding,),) = self.ask("PRAGMA encoding")
        return Server(f"SQLite {sqlite3.sqlite_version}, {encoding}, opened read-only", 0.0)

    def notes(self) -> Iterator[str]:
        """Nothing: a file has no accounts, and it is opened read-only."""
        yield from ()

    def attempt(self, select: str) -> Attempt:
        """Try a query as a load would put it, for no rows."""
        self.ends = time.monotonic() + STATEMENT_SECONDS
        try:
            cursor = self.db.execute(f"SELECT * FROM ({select}) AS q LIMIT 0")
        except sqlite3.Error as error:
            said = " ".join(str(error).split())
            if said.startswith("no such"):
                return Attempt(refused="missing", said=said)
            slow = said == "interrupted" or "locked" in said
            return Attempt(refused="slow" if slow else "other", said=said)
        return Attempt(tuple(column[0] for column in cursor.description))

    def relations(self) -> list[Relation]:
        """Every table and view."""
        found = self.ask(
            """SELECT name, type FROM sqlite_master
               WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"""
        )
        return [
            Relation("main", name, self.quoted(name), view=kind == "view") for name, kind in found
        ]

    def columns(self, relation: Relation) -> list[str]:
        """The names of its columns."""
        found = self.ask("SELECT name FROM pragma_table_xinfo(?)", [relation.name])
        return [name for (name,) in found]

    def grant(self, tables: list[str]) -> str:
        """A file's rights are not given by table."""
        return f"the right to read the file ({', '.join(tables)})"

    def rows(self, select: str) -> int | None:
        """Counted."""
        try:
            return int(self.ask(f"SELECT count(*) FROM ({select}) AS q")[0][0])
        except sqlite3.OperationalError:
            return None

    def indexed(self, relation: Relation, column: str) -> bool:
        """Whether an index over all rows begins with the column."""
        return bool(
            self.ask(
                """SELECT 1 FROM pragma_index_list(?) AS l, pragma_index_info(l.name) AS i
                   WHERE l.partial = 0 AND i.seqno = 0 AND lower(i.name) = lower(?)""",
                [relation.name, column],
            )
        )

    def quoted(self, name: str) -> str:
        """In double quotes."""
        return '"' + name.replace('"', '""') + '"'
