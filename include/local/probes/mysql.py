"""MySQL and MariaDB, asked by ``make doctor``."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
from pymysql import err
from pymysql.cursors import Cursor

from include import connections
from include.local.probes.contract import (
    STATEMENT_SECONDS,
    Attempt,
    Relation,
    Server,
    ahead_seconds,
)

MISSING = {1049, 1054, 1146}  # database, column, table
DENIED = {1044, 1142, 1143, 1227, 1345}  # database, table, column, PROCESS, EXPLAIN of a view
SLOW = {1205, 1317, 1969, 3024}  # lock wait, interrupted, over time in MariaDB and in MySQL
UNKNOWN_SETTING = 1193
WELL_KNOWN = {"utf8mb4", "utf8mb3", "utf8", "latin1", "ascii"}
WRITING = {"ALL PRIVILEGES", "INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "CREATE"}
SYSTEM = "('information_schema', 'mysql', 'performance_schema', 'sys')"


class MysqlProbe:
    """A connection whose every statement is a read-only transaction of its own."""

    dialect = "mysql"
    errors = pymysql.MySQLError

    def __init__(self, connection_id: str) -> None:
        self.db = connections.connect_mysql(connection_id)
        self.db.autocommit(True)
        self.version = str(self.ask("SELECT version()")[0][0])
        self.maria = "MariaDB" in self.version
        seconds = STATEMENT_SECONDS
        self._limit(f"lock_wait_timeout = {seconds}")
        if self.maria:
            self._limit(f"max_statement_time = {seconds}")
        else:
            self._limit(f"max_execution_time = {seconds * 1000}")
        self.ask("SET SESSION TRANSACTION READ ONLY")

    def _limit(self, limit: str) -> None:
        try:
            self.ask(f"SET SESSION {limit}")
        except err.MySQLError as error:
            if error.args[0] != UNKNOWN_SETTING:  # of servers older than MySQL 5.7
                raise

    def close(self) -> None:
        """End the connection."""
        self.db.close()

    def ask(self, query: str, bound: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query; what the driver gives as bytes, as text."""
        with self.db.cursor(Cursor) as cursor:
            cursor.execute(query, bound)
            return [_texts(row) for row in cursor.fetchall()]

    def server(self) -> Server:
        """Version, encoding, clock."""
        kind = "MariaDB" if self.maria else "MySQL"
        found = self.ask(
            """SELECT @@character_set_database UNION
               SELECT DISTINCT character_set_name FROM information_schema.columns
               WHERE table_schema = database() AND character_set_name IS NOT NULL"""
        )
        charsets = [name for (name,) in found]
        odd = sorted(set(charsets) - WELL_KNOWN)
        warning = None
        if odd:
            warning = (
                f"text in {', '.join(odd)}: the server converts it; "
                "compare a few names with an accent after the first load"
            )
        ahead = ahead_seconds(lambda: float(self.ask("SELECT unix_timestamp(now(6))")[0][0]))
        said = f"{kind} {self.version.partition('-')[0]}, {', '.join(charsets)}"
        return Server(said, ahead, warning)

    def notes(self) -> Iterator[str]:
        """Replica, hidden transactions, rights to write."""
        ((read_only,),) = self.ask("SELECT @@global.read_only")
        if int(read_only):
            yield (
                "read_only is on, as on a replica: transactions that are open on its primary are "
                "invisible, so only the lookback finds what commits late"
            )
        if not self._sees_transactions():
            yield (
                "open transactions are invisible, so only the lookback finds what commits late; "
                f"ask for GRANT PROCESS ON *.* TO {self._account()}"
            )
        writable = list(self._writable())
        if writable:
            yield (
                f"the account {self._account()} may write to {', '.join(writable)}; "
                "one that can only read is enough"
            )

    def _sees_transactions(self) -> bool:
        try:
            self.ask("SELECT 1 FROM information_schema.innodb_trx LIMIT 1")
        except err.MySQLError as error:
            if error.args[0] in DENIED:
                return False
            raise
        return True

    def _writable(self) -> Iterator[str]:
        """The objects of the grants that change anything; their passwords are not looked at."""
        for (line,) in self.ask("SHOW GRANTS"):
            if found := re.match(r"GRANT (.+?) ON (\S+) TO ", line):
                rights = re.sub(r"\([^)]*\)", "", found[1]).split(",")  # without their columns
                if WRITING & {right.strip() for right in rights}:
                    yield found[2]

    def _account(self) -> str:
        user, _, host = str(self.ask("SELECT current_user()")[0][0]).rpartition("@")
        return f"'{user}'@'{host}'"

    def attempt(self, select: str) -> Attempt:
        """Try a query as a load would put it, for no rows."""
        with self.db.cursor(Cursor) as cursor:
            try:
                cursor.execute(f"SELECT * FROM ({select}) AS q LIMIT 0")
            except err.MySQLError as error:
                if not self.db.open:
                    raise
                code, said = error.args[0], " ".join(str(error.args[-1]).split())
                if code in MISSING:
                    return Attempt(refused="missing", said=said)
                if code in DENIED:
                    return Attempt(refused="denied", said=said)
                return Attempt(refused="slow" if code in SLOW else "other", said=said)
            return Attempt(tuple(column[0] for column in cursor.description or ()))

    def relations(self) -> list[Relation]:
        """Every table and view that the account may use; the server hides the others."""
        found = self.ask(
            f"""SELECT table_schema, table_name, table_schema = database(), table_type
                FROM information_schema.tables WHERE table_schema NOT IN {SYSTEM}"""
        )
        return [
            Relation(
                schema,
                name,
                f"{self.quoted(schema)}.{self.quoted(name)}",
                bool(int(near or 0)),
                kind != "BASE TABLE",
            )
            for schema, name, near, kind in found
        ]

    def columns(self, relation: Relation) -> list[str]:
        """The names of its columns that the account may use."""
        found = self.ask(
            """SELECT column_name FROM information_schema.columns
               WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position""",
            [relation.schema, relation.name],
        )
        return [name for (name,) in found]

    def grant(self, tables: list[str]) -> str:
        """One GRANT a table: MySQL takes no list."""
        account, ((here,),) = self._account(), self.ask("SELECT database()")
        whole = [table if "." in table else f"{self.quoted(here)}.{table}" for table in tables]
        return "; ".join(f"GRANT SELECT ON {table} TO {account}" for table in whole)

    def rows(self, select: str) -> int | None:
        """The planner's estimate: of each part of a union, the product over its tables."""
        try:
            with self.db.cursor(Cursor) as cursor:
                cursor.execute(f"EXPLAIN {select}")
                names = [column[0] for column in cursor.description or ()]
                plan = [dict(zip(names, _texts(row), strict=True)) for row in cursor.fetchall()]
        except err.MySQLError as error:
            if error.args[0] in SLOW | DENIED:
                return None
            raise
        parts: defaultdict[str, float] = defaultdict(lambda: 1.0)
        for step in plan:
            if step["select_type"] in {"SIMPLE", "PRIMARY", "UNION"}:
                passing = float(step.get("filtered") or 100) / 100
                parts[step["id"]] *= float(step["rows"] or 0) * passing
        return round(sum(parts.values()))

    def indexed(self, relation: Relation, column: str) -> bool:
        """Whether an index begins with the column."""
        return bool(
            self.ask(
                """SELECT 1 FROM information_schema.statistics
                   WHERE table_schema = %s AND table_name = %s AND column_name = %s
                   AND seq_in_index = 1 AND index_type = 'BTREE' LIMIT 1""",
                [relation.schema, relation.name, column],
            )
        )

    def quoted(self, name: str) -> str:
        """In backticks."""
        return "`" + name.replace("`", "``") + "`"


def _texts(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(value.decode() if isinstance(value, bytes) else value for value in row)
