"""PostgreSQL, asked by ``make doctor``; the warehouse too."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import errors

from include import connections, warehouse
from include.local.probes.contract import (
    STATEMENT_SECONDS,
    Attempt,
    Relation,
    Server,
    ahead_seconds,
)

MISSING = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)
SLOW = (errors.QueryCanceled, errors.LockNotAvailable)
OURS = """n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
          AND n.nspname NOT LIKE 'pg\\_temp\\_%'"""


class PostgresProbe:
    """A connection whose every statement is a read-only transaction of its own."""

    dialect = "postgres"
    errors = psycopg.Error

    def __init__(self, connection_id: str) -> None:
        self.db = connections.connect(connection_id)
        self.db.read_only = True

    def close(self) -> None:
        """End the connection."""
        self.db.close()

    def ask(self, query: str, bound: Sequence[Any] | None = None) -> list[Any]:
        """The rows of a query."""
        return self._run(query, bound).fetchall()

    def _run(self, query: str, bound: Sequence[Any] | None = None) -> psycopg.Cursor[Any]:
        with self.db.transaction():
            self.db.execute(
                warehouse.text(
                    f"""SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s';
                        SET LOCAL lock_timeout = '{STATEMENT_SECONDS}s'"""
                )
            )
            return self.db.execute(warehouse.text(query), bound)

    def server(self) -> Server:
        """Version, encoding, clock."""
        version = (self.db.info.parameter_status("server_version") or "").partition(" ")[0]
        encoding = self.db.info.parameter_status("server_encoding")
        warning = None
        if encoding == "SQL_ASCII":
            warning = (
                "SQL_ASCII promises no encoding: text that is not UTF-8 cannot land as it is; "
                "ask which encoding its applications write"
            )
        return Server(f"PostgreSQL {version}, {encoding}", self.ahead_seconds(), warning)

    def ahead_seconds(self) -> float:
        """How far its clock is ahead of this machine's."""
        query = "SELECT extract(epoch FROM clock_timestamp())::float8"
        return ahead_seconds(lambda: float(self.ask(query)[0][0]))

    def notes(self) -> Iterator[str]:
        """Replica, hidden transactions, hidden rows, rights to write."""
        ((replica, sees_all, account, superuser),) = self.ask(
            """SELECT pg_is_in_recovery(), pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
                      quote_ident(current_user), rolsuper
               FROM pg_roles WHERE rolname = current_user"""
        )
        if replica:
            yield (
                "a replica: transactions that are open on its primary are invisible, so only the "
                "lookback finds what commits late"
            )
        if not sees_all:
            yield (
                "other users' open transactions are invisible, so only the lookback finds what "
                f"commits late; ask for GRANT pg_read_all_stats TO {account}"
            )
        if secured := self._tables("row_security_active(c.oid)"):
            yield (
                f"rows that policies hide are not read, of {', '.join(secured)}; "
                f"ask for ALTER ROLE {account} BYPASSRLS"
            )
        if superuser:
            yield f"the account {account} is a superuser; one that can only read is enough"
        elif writable := self._tables(
            "has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
        ):
            yield (
                f"the account {account} may write to {len(writable)} tables, such as "
                f"{writable[0]}; one that can only read is enough"
            )

    def _tables(self, condition: str) -> list[str]:
        found = self.ask(
            f"""SELECT c.oid::regclass::text FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p') AND {OURS} AND {condition} ORDER BY 1"""
        )
        return [name for (name,) in found]

    def attempt(self, select: str) -> Attempt:
        """Try a query as a load would put it, for no rows."""
        try:
            cursor = self._run(f"SELECT * FROM ({select}) AS q LIMIT 0")
        except psycopg.Error as error:
            if self.db.closed:
                raise
            said = " ".join((error.diag.message_primary or str(error)).split())
            if isinstance(error, MISSING):
                return Attempt(refused="missing", said=said)
            if isinstance(error, errors.InsufficientPrivilege):
                return Attempt(refused="denied", said=said)
            return Attempt(refused="slow" if isinstance(error, SLOW) else "other", said=said)
        return Attempt(tuple(column.name for column in cursor.description or ()))

    def relations(self) -> list[Relation]:
        """Every table and view, readable or not."""
        found = self.ask(
            f"""SELECT n.nspname, c.relname, c.oid::regclass::text, pg_table_is_visible(c.oid),
                       c.relkind IN ('v', 'f'),
                       CASE c.relkind WHEN 'p' THEN '' ELSE ' CONCURRENTLY' END
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {OURS}"""
        )
        return [Relation(*row) for row in found]

    def columns(self, relation: Relation) -> list[str]:
        """The names of its columns."""
        found = self.ask(
            """SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
               JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
               ORDER BY a.attnum""",
            [relation.schema, relation.name],
        )
        return [name for (name,) in found]

    def grant(self, tables: list[str]) -> str:
        """GRANT SELECT, and USAGE of the schemas that are closed."""
        ((account,),) = self.ask("SELECT quote_ident(current_user)")
        closed = self.ask(
            """SELECT quote_ident(nspname) FROM pg_namespace
               WHERE NOT has_schema_privilege(oid, 'USAGE')"""
        )
        schemas = [name for (name,) in closed if any(t.startswith(f"{name}.") for t in tables)]
        usage = f"GRANT USAGE ON SCHEMA {', '.join(schemas)} TO {account}; " if schemas else ""
        return f"{usage}GRANT SELECT ON {', '.join(tables)} TO {account}"

    def rows(self, select: str) -> int | None:
        """The planner's estimate."""
        try:
            ((plan,),) = self.ask(f"EXPLAIN (FORMAT JSON) {select}")
        except (*SLOW, errors.InsufficientPrivilege):
            return None
        return int(plan[0]["Plan"]["Plan Rows"])

    def indexed(self, relation: Relation, column: str) -> bool:
        """Whether a whole B-tree or BRIN index begins with the column."""
        return bool(
            self.ask(
                """SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
                   JOIN pg_namespace n ON n.oid = c.relnamespace
                   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                   JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                   WHERE n.nspname = %s AND c.relname = %s AND a.attname = %s
                   AND i.indisvalid AND i.indpred IS NULL AND m.amname IN ('btree', 'brin')""",
                [relation.schema, relation.name, column],
            )
        )

    def quoted(self, name: str) -> str:
        """As the server itself would, which knows its reserved words."""
        return str(self.ask("SELECT quote_ident(%s)", [name])[0][0])
