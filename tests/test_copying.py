"""Rows from server to server."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql

from include import copying, warehouse, wire

LOOPBACK = "127.0.0.1"
DIES_HALFWAY = """SELECT n, 'product ' || n FROM generate_series(1, 1000000) AS n
    WHERE n <> 500000 OR pg_terminate_backend(pg_backend_pid())"""
FAILS_HALFWAY = "SELECT n, (1 / (500000 - n))::text FROM generate_series(1, 1000000) AS n"
OF_ALL_LENGTHS = f"""SELECT n, repeat('x', CASE WHEN n % 500 = 0 THEN {3 * wire.BLOCK_BYTES} + n
    ELSE n % 300 END) FROM generate_series(1, 3000) AS n"""
WARNS = """CREATE FUNCTION pg_temp.warns(n int) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN RAISE NOTICE 'row %', n; RETURN 'product ' || n; END $$"""


@pytest.fixture
def ends(warehouse_url) -> Iterator[tuple[psycopg.Connection, psycopg.Connection, str]]:
    """A reader, and a writer with an empty table that nobody else can see."""
    with psycopg.connect(warehouse_url) as source, psycopg.connect(warehouse_url) as target:
        target.execute("CREATE TEMP TABLE product (id int, name text)")
        target.commit()
        yield source, target, "pg_temp.product"


def stored(db: psycopg.Connection, table: str) -> list[tuple]:
    return db.execute(
        sql.SQL("SELECT * FROM {} ORDER BY 1").format(warehouse.name(table))
    ).fetchall()


def test_rows_pass_through_unparsed(ends):
    source, target, table = ends
    query = "SELECT n, 'product ' || n FROM generate_series(1, 2) AS n"
    assert copying.copy_through(source, target, select=query, table=table).rows == 2
    assert stored(target, table) == [(1, "product 1"), (2, "product 2")]


def test_no_rows_pass_through(ends):
    source, target, table = ends
    query = "SELECT n, '' FROM generate_series(1, 0) AS n"
    assert copying.copy_through(source, target, select=query, table=table).rows == 0


def test_rows_of_any_length_pass_through(ends):
    source, target, table = ends
    copied = copying.copy_through(source, target, select=OF_ALL_LENGTHS, table=table)
    assert copied.rows == 3000
    assert stored(target, table) == source.execute(OF_ALL_LENGTHS).fetchall()


def test_what_the_server_says_between_the_rows_is_no_row(ends):
    source, target, table = ends
    source.execute(WARNS)
    query = "SELECT n, pg_temp.warns(n) FROM generate_series(1, 2000) AS n"
    assert copying.copy_through(source, target, select=query, table=table).rows == 2000
    assert stored(target, table)[-1] == (2000, "product 2000")


def test_the_reader_goes_on_in_its_transaction(ends):
    source, target, table = ends
    source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    copying.copy_through(source, target, select="SELECT 1, 'a'", table=table)
    copying.copy_through(source, target, select="SELECT 2, 'b'", table=table)
    assert source.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)
    assert stored(target, table) == [(1, "a"), (2, "b")]


def test_a_reader_that_dies_halfway_leaves_no_rows(ends):
    source, target, table = ends
    with pytest.raises(copying.SourceError):
        copying.copy_through(source, target, select=DIES_HALFWAY, table=table)
    assert stored(target, table) == []


def test_a_query_that_fails_halfway_says_why_and_leaves_no_rows(ends):
    source, target, table = ends
    with pytest.raises(psycopg.errors.DivisionByZero):
        copying.copy_through(source, target, select=FAILS_HALFWAY, table=table)
    assert stored(target, table) == []


def test_a_row_that_the_target_refuses_leaves_no_rows(ends):
    source, target, table = ends
    target.execute("ALTER TABLE pg_temp.product ADD CHECK (id < 900000)")
    query = "SELECT n, 'product ' || n FROM generate_series(1, 1000000) AS n"
    with pytest.raises(psycopg.errors.CheckViolation):
        copying.copy_through(source, target, select=query, table=table)
    assert stored(target, table) == []


def certificate(folder: Path) -> Path:
    """A key and a certificate that it signed itself, in one file."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.NameAttribute(NameOID.COMMON_NAME, "x"),
    )
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509
        .CertificateBuilder()
        .subject_name(x509.Name([name]))
        .issuer_name(x509.Name([name]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def encrypted(url: str, pem: Path) -> Iterator[str]:
    """The conninfo of the same database behind a TLS end for one connection."""
    place = psycopg.conninfo.conninfo_to_dict(url)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["postgresql"])

    def forward(given: socket.socket, taken: socket.socket) -> None:
        while block := given.recv(1 << 14):
            taken.sendall(block)
        taken.shutdown(socket.SHUT_WR)

    def serve() -> None:
        outside, _ = listener.accept()
        with context.wrap_socket(outside, server_side=True) as client:
            inside = socket.create_connection((place["host"], int(place["port"])))
            with inside:
                up = threading.Thread(target=forward, args=[client, inside])
                up.start()
                while block := inside.recv(1 << 14):
                    client.sendall(block)
                client.shutdown(socket.SHUT_RDWR)
                up.join()

    with socket.create_server((LOOPBACK, 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield psycopg.conninfo.make_conninfo(
            url, host=LOOPBACK, port=listener.getsockname()[1], sslmode="require",
            sslnegotiation="direct",
        )  # fmt: skip
        server.join()


def test_an_encrypted_connection_gives_the_same_rows(ends, warehouse_url, tmp_path):
    _, target, table = ends
    with (
        encrypted(warehouse_url, certificate(tmp_path)) as url,
        psycopg.connect(url) as source,
    ):
        assert source.pgconn.ssl_in_use
        copied = copying.copy_through(source, target, select=OF_ALL_LENGTHS, table=table)
    assert copied.rows == 3000
    with psycopg.connect(warehouse_url) as plain:
        assert stored(target, table) == plain.execute(OF_ALL_LENGTHS).fetchall()
