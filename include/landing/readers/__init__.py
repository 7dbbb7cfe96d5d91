"""One reader a dialect: what a mapping's query gives, and its rows as bytes for COPY.

Where a server does not speak COPY, its own SQL builds the line, so that no value passes through
Python and no decimal through a float.
"""

from include import connections
from include.landing.readers.contract import RANGES, Clock, Position, Reader, Staged, Window
from include.sources import Source

__all__ = ["RANGES", "Clock", "Position", "Reader", "Staged", "Window", "open_reader"]


def open_reader(source: Source) -> Reader:
    """The reader of a source's database, connected, read-only; a context manager."""
    dialect = connections.address(source.connection).dialect
    if dialect == "postgres":
        from include.landing.readers.postgres import PostgresReader

        return PostgresReader(source)
    if dialect == "mysql":
        from include.landing.readers.mysql import MysqlReader

        return MysqlReader(source)
    if dialect == "sqlserver":
        from include.landing.readers.sqlserver import SqlserverReader

        return SqlserverReader(source)
    from include.landing.readers.sqlite import SqliteReader

    return SqliteReader(source)
