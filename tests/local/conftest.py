"""Empty databases for the demo CRM."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql


@pytest.fixture
def postgres_database(empty_database: str) -> Iterator[psycopg.Connection]:
    """A connection to an empty database, as the shop's."""
    with psycopg.connect(empty_database, options="-c timezone=UTC") as db:
        yield db


@pytest.fixture(scope="module")
def lasting_database(postgres_url: str) -> Iterator[psycopg.Connection]:
    """The same for all tests of a module, none of which writes."""
    name = sql.Identifier(f"portrait_test_{secrets.token_hex(6)}")
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            url = psycopg.conninfo.make_conninfo(postgres_url, dbname=name.as_string().strip('"'))
            with psycopg.connect(url, options="-c timezone=UTC") as db:
                yield db
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
