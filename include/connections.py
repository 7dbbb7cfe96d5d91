"""From a connection id to an open database.

``AIRFLOW_CONN_<ID>`` is read first (a URI or Airflow's JSON form), so that every module runs in a
plain shell; Airflow is asked only when it is unset. A URI with a password is never logged.
"""

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import psycopg

from include.errors import ConfigError, ResourceError

Dialect = Literal["postgres", "mysql", "sqlite", "sqlserver"]
DIALECTS: dict[str, Dialect] = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
    "mssql": "sqlserver",
    "sqlserver": "sqlserver",
}
PORTS = {"postgres": 5432, "mysql": 3306, "sqlite": None, "sqlserver": 1433}
APPLICATION = "portrait"
SESSION = {  # how values are written, whatever a role or a database has set
    "timezone": "UTC",
    "client_encoding": "UTF8",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
SERVER_PATIENCE = (  # so that the server, too, notices that we are gone
    "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)
PATIENCE = {  # a network that went silent is noticed within a minute; the URI's query may differ
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


@dataclass(frozen=True)
class Address:
    """Where a connection id points; ``repr`` hides the password."""

    connection_id: str
    dialect: Dialect
    host: str
    port: int | None
    user: str | None
    password: str | None
    database: str
    options: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"{self.connection_id} ({self.where})"

    @property
    def where(self) -> str:
        """The place in words, without user and password."""
        if self.dialect == "sqlite":
            return self.database
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def url(self) -> str:
        """The URL with its password, as libpq and psql take it (PostgreSQL only)."""
        login = quote(self.user or "", safe="")
        if self.password:
            login += f":{quote(self.password, safe='')}"
        query = f"?{urlencode(self.options)}" if self.options else ""
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(self.database)}{query}"


def variable(connection_id: str) -> str:
    """The name of the environment variable that switches a connection on."""
    return f"AIRFLOW_CONN_{connection_id.upper()}"


def _parts(connection_id: str, raw: str) -> Address:
    if raw.lstrip().startswith("{"):
        form = json.loads(raw)
        kind, database = form.get("conn_type", ""), form.get("schema", "")
        host, port = form.get("host", ""), form.get("port")
        user, password, extra = form.get("login"), form.get("password"), form.get("extra") or {}
        options = json.loads(extra) if isinstance(extra, str) else extra
    else:
        split = urlsplit(raw)
        kind, host, port = split.scheme.partition("+")[0], split.hostname or "", split.port
        user = unquote(split.username) if split.username else None
        password = unquote(split.password) if split.password else None
        database, options = unquote(split.path[1:]), dict(parse_qsl(split.query))
    if kind not in DIALECTS:
        known = ", ".join(sorted(DIALECTS))
        raise ConfigError(
            f"{variable(connection_id)}: {kind!r} is no kind of database known here ({known}); "
            "write it as postgres://user:password@host:5432/database"
        )
    dialect = DIALECTS[kind]
    if dialect == "sqlite":
        database = database or host
    plain = tuple((key, str(value)) for key, value in options.items() if key != "__extra__")
    return Address(
        connection_id, dialect, host, port or PORTS[dialect], user, password, database, plain
    )


def address(connection_id: str) -> Address:
    """Where ``connection_id`` points; a ConfigError says which variable to set or mend."""
    raw = os.environ.get(variable(connection_id)) or _asked_of_airflow(connection_id)
    try:
        return _parts(connection_id, raw)
    except ValueError as error:  # a port that is no number, JSON that is none
        raise ConfigError(
            f"{variable(connection_id)}: not a connection ({type(error).__name__}); "
            "write it as postgres://user:password@host:5432/database"
        ) from None  # the cause may hold the password


def _asked_of_airflow(connection_id: str) -> str:
    unset = (
        f"{variable(connection_id)} is not set; set it to postgres://user:password@host/database"
    )
    if "AIRFLOW_HOME" not in os.environ:
        raise ConfigError(unset)
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return str(Connection.get(connection_id).get_uri())
    except AirflowNotFoundException as error:
        raise ConfigError(f"{unset}, or add {connection_id!r} in Airflow's connections") from error


def connect(connection_id: str) -> psycopg.Connection[Any]:
    """Open a PostgreSQL connection, its session's time zone pinned to UTC."""
    place = address(connection_id)
    if place.dialect != "postgres":
        raise ConfigError(f"{variable(connection_id)}: must be PostgreSQL, is {place.dialect}")
    given = dict(place.options)
    session = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    options = f"{SERVER_PATIENCE} {given.get('options', '')} {session}"  # the last one counts
    settings = PATIENCE | given | {"options": options}
    try:
        db = psycopg.connect(
            place.url,
            application_name=APPLICATION,
            **settings,  # type: ignore[arg-type]  # libpq takes text
        )
    except psycopg.OperationalError as error:
        raise ResourceError(_unreachable(place, error)) from error
    return db


def _unreachable(place: Address, error: Exception) -> str:
    reason = " ".join(str(error).split()).rpartition("failed: ")[2] or type(error).__name__
    return (
        f"{place.connection_id}: no connection to {place.where}: {reason}; "
        f"check {variable(place.connection_id)} and that the server answers"
    )


def connect_sqlite(connection_id: str) -> sqlite3.Connection:
    """Open a SQLite file read-only."""
    place = address(connection_id)
    if not Path(place.database).is_file():
        raise ResourceError(
            f"{connection_id}: no file {place.database}; check {variable(connection_id)}"
        )
    return sqlite3.connect(f"file:{quote(place.database)}?mode=ro", uri=True, timeout=30)


def connect_mysql(connection_id: str) -> Any:
    """Open a MySQL or MariaDB connection that gives bytes and streams its results."""
    import pymysql
    from pymysql.cursors import SSCursor

    place = address(connection_id)
    given = dict(place.options)
    try:
        return pymysql.connect(
            host=place.host,
            port=place.port or 3306,
            user=place.user,
            password=place.password or "",
            database=place.database,
            charset="utf8mb4",
            connect_timeout=int(given.get("connect_timeout", 10)),
            read_timeout=int(given.get("read_timeout", 600)),
            write_timeout=int(given.get("write_timeout", 60)),
            cursorclass=SSCursor,
            init_command="SET time_zone = '+00:00'",
        )
    except pymysql.err.OperationalError as error:
        raise ResourceError(_unreachable(place, error)) from error


def connect_sqlserver(connection_id: str) -> Any:
    """Open a SQL Server connection; ``?encryption=off`` where the server has none."""
    import pymssql  # type: ignore[import-not-found,unused-ignore]

    place = address(connection_id)
    try:
        return pymssql.connect(
            server=place.host,
            port=str(place.port),
            user=place.user,
            password=place.password or "",
            database=place.database,
            charset="UTF-8",
            login_timeout=10,
            appname=APPLICATION,
            encryption=dict(place.options).get("encryption", "require"),
            read_only=True,
            autocommit=True,
        )
    except pymssql.Error as error:
        said = RuntimeError(said_by_sqlserver(error)[1])
        raise ResourceError(_unreachable(place, said)) from error


def said_by_sqlserver(error: Exception) -> tuple[int, str]:
    """Number and words of an error of pymssql, which repeats itself in bytes."""
    parts = error.args[0] if error.args and isinstance(error.args[0], tuple) else error.args
    said = parts[-1].decode(errors="replace") if isinstance(parts[-1], bytes) else str(parts[-1])
    lines = [line for line in said.splitlines() if not line.startswith("DB-Lib error message")]
    return parts[0] if isinstance(parts[0], int) else 0, " ".join(dict.fromkeys(lines))
