"""Databases of their own, known to the mappings by their connections.

``mariadb`` and ``postgres`` are new for each test; the shared ones serve the tests of a module that
only look at what one load has landed.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from tests.conftest import _database, _drop


@contextmanager
def in_mariadb() -> Iterator[Any]:
    """A database on MARIADB_URL, else on 127.0.0.1 as root without password."""
    url = urlsplit(os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306"))
    login = {"host": url.hostname, "port": url.port or 3306, "user": url.username or "root"}
    try:
        db = pymysql.connect(
            **login, password=url.password or "", charset="utf8mb4", autocommit=True
        )
    except pymysql.err.OperationalError:
        pytest.skip("no MariaDB at MARIADB_URL, nor at 127.0.0.1:3306 as root without password")
    name = f"portrait_test_{secrets.token_hex(6)}"
    secret = f":{url.password}" if url.password else ""
    there = f"mysql://{login['user']}{secret}@{login['host']}:{login['port']}/{name}"
    with pytest.MonkeyPatch.context() as patch, db, db.cursor() as cursor:
        for product in ("SUITECRM", "VTIGER", "WOOCOMMERCE", "ESPOCRM"):
            patch.setenv(f"AIRFLOW_CONN_{product}", there)
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        cursor.execute(f"USE {name}")
        cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")  # zero dates are stored
        yield cursor
        cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def in_postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A database on the server of the tests."""
    name, url = _database(postgres_url)
    parts = psycopg.conninfo.conninfo_to_dict(url)
    login = f"{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}"
    with pytest.MonkeyPatch.context() as patch:
        for product in ("ODOO", "NORTHWIND", "CHINOOK"):
            patch.setenv(f"AIRFLOW_CONN_{product}", f"postgres://{login}/{parts['dbname']}")
        with psycopg.connect(url, autocommit=True) as db:
            yield db
    _drop(postgres_url, name)


@pytest.fixture
def mariadb() -> Iterator[Any]:
    """A database in MariaDB for one test."""
    with in_mariadb() as cursor:
        yield cursor


@pytest.fixture(scope="module")
def shared_mariadb() -> Iterator[Any]:
    """A database in MariaDB for a module."""
    with in_mariadb() as cursor:
        yield cursor


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A database in PostgreSQL for one test."""
    with in_postgres(postgres_url) as db:
        yield db


@pytest.fixture(scope="module")
def shared_postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A database in PostgreSQL for a module."""
    with in_postgres(postgres_url) as db:
        yield db


@pytest.fixture(scope="module")
def shared_warehouse(postgres_url: str, deployed_template: str) -> Iterator[psycopg.Connection]:
    """A warehouse for a module."""
    name, url = _database(postgres_url, deployed_template)
    with psycopg.connect(url, options="-c timezone=UTC") as db:
        yield db
    _drop(postgres_url, name)
