"""What is read from a real MariaDB arrives as it is, or not at all."""

import io
import struct
import time
from decimal import Decimal
from threading import Thread
from urllib.parse import urlsplit

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError, QualityError, ResourceError
from include.landing.readers import Position, Window, open_reader, packets
from tests.landing.readers.conftest import REAL, TEXTS, connected, crm, in_batches, moment

UUID = "123e4567-e89b-12d3-a456-426655440000"
MONEY = Decimal("-9876543210.12")
TYPES = [  # type, value as SQL, wanted, staged as, value there
    ("tinyint(1)", "1", "boolean", "text", "1"),
    ("smallint", "-32768", "integer", "integer", -32768),
    ("int unsigned", "4294967295", "integer", "bigint", 4294967295),
    ("int unsigned", "4294967295", "numeric(18,6)", "numeric(18,6)", Decimal(4294967295)),
    ("bigint", "-9223372036854775808", "bigint", "bigint", -(2**63)),
    ("bigint unsigned", "18446744073709551615", "bigint", "numeric", Decimal(2**64 - 1)),
    ("bigint unsigned", "18446744073709551615", "text", "text", "18446744073709551615"),
    ("decimal(12,2)", "-9876543210.12", "numeric(18,6)", "numeric(18,6)", MONEY),
    ("decimal(18,6)", "0.000001", "numeric(18,6)", "numeric(18,6)", Decimal("0.000001")),
    ("decimal(20,7)", "0.0000005", "numeric(18,6)", "numeric", Decimal("0.0000005")),
    ("decimal(38,0) unsigned", "9" * 38, "numeric(18,6)", "numeric", Decimal("9" * 38)),
    ("decimal(12,2)", "1.50", "text", "text", "1.50"),
    ("float", "12345.67", "numeric(18,6)", "numeric", Decimal("12345.669921875")),
    ("float(9,2)", "12345.67", "numeric(18,6)", "numeric", Decimal("12345.67")),
    ("double", "0.1e0 + 0.2e0", "numeric(18,6)", "numeric", Decimal("0.30000000000000004")),
    ("double", "1e300", "numeric(18,6)", "numeric", Decimal("1e300")),
    ("bit(1)", "1", "boolean", "text", "1"),
    ("bit(64)", "~0", "text", "text", "18446744073709551615"),
    ("year", "2024", "integer", "integer", 2024),
    ("date", "'2024-02-29'", "date", "text", "2024-02-29"),
    ("time(6)", "'-838:59:58.5'", "text", "text", "-838:59:58.500000"),
    ("datetime", "'2024-02-29 10:00:01'", "timestamptz", "text", "2024-02-29 10:00:01"),
    ("datetime(2)", "'9999-12-31 23:59:59.99'", "timestamptz", "text", "9999-12-31 23:59:59.99"),
    ("timestamp null", "'2024-02-29 10:00:01'", "timestamptz", "text", "2024-02-29 10:00:01+00:00"),
    ("enum('a\tb', 'c')", "'a\tb'", "text", "text", "a\tb"),
    ("set('p', 'q')", "'q,p'", "text", "text", "p,q"),
    ("json", "'{\"a\": 1.00000000000000000001}'", "text", "text", '{"a": 1.00000000000000000001}'),
    ("varchar(9) character set latin1", "'é€\\\\'", "text", "text", "é€\\"),
    ("varchar(9) character set utf8mb3", "'客'", "text", "text", "客"),
    ("varchar(9) character set ucs2", "'客\t'", "text", "text", "客\t"),
    ("char(9)", "'𝄞'", "text", "text", "𝄞"),
    ("longtext", "''", "text", "text", ""),
    ("blob", "X'00FF5C0A'", "text", "text", "\\x00ff5c0a"),
    ("varbinary(9)", "'12.5'", "numeric(18,6)", "text", "12.5"),
    ("binary(4)", "'ab'", "text", "text", "\\x61620000"),
    ("uuid", f"'{UUID}'", "text", "text", UUID),
    ("inet6", "'::1'", "text", "text", "::1"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "wanted", "staged", "there"), TYPES)
def test_a_value_of_each_type_arrives_exactly_and_so_does_null(
    mariadb, read, kind, value, wanted, staged, there
):
    mariadb.execute(f"CREATE TABLE t (source_id int, c {kind} DEFAULT NULL)")
    mariadb.execute(f"INSERT INTO t VALUES (1, {value}), (2, NULL)")
    found = read(crm("SELECT * FROM t"), {"source_id": "text", "c": wanted})
    assert (found.types[1], dict(found.rows)) == (staged, {"1": there, "2": None})


def test_the_types_of_a_query_are_told_in_the_servers_words(mariadb):
    mariadb.execute(
        "CREATE TABLE t (a bigint unsigned, b decimal(12,2), c varchar(9), d blob, e timestamp)"
    )
    with open_reader(crm("SELECT 1")) as reader:
        assert reader.shape("SELECT *, a + 1.5 AS f, concat(a, c) AS g FROM t") == {
            **{"a": "bigint unsigned", "b": "decimal(12,2)", "c": "text", "d": "binary"},
            **{"e": "timestamp", "f": "decimal(22,1)", "g": "text"},
        }


def test_the_shape_of_a_query_is_asked_without_running_it(mariadb):
    mariadb.execute("CREATE TABLE t AS SELECT 1 AS source_id")
    started = time.monotonic()
    with open_reader(crm("SELECT 1")) as reader:
        reader.shape("SELECT max(sleep(30)) AS source_id FROM t GROUP BY source_id")
    assert time.monotonic() - started < 10


@REAL
@given(texts=TEXTS)
def test_any_text_arrives_as_it_is(mariadb, read, texts):
    mariadb.execute("CREATE OR REPLACE TABLE t (source_id int, c longtext)")
    mariadb.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(texts)))
    found = read(crm("SELECT * FROM t"), {"source_id": "integer", "c": "text"})
    assert [c for _, c in sorted(found.rows)] == texts
    assert found.copied.rows == len(texts)


@REAL
@given(
    numbers=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.decimals(-(10**12), 10**12, places=6, allow_nan=False).filter(
                lambda d: abs(d) < 10**12
            ),
        ),
        min_size=1,
    )
)
def test_any_number_arrives_exactly(mariadb, read, numbers):
    mariadb.execute("CREATE OR REPLACE TABLE t (source_id bigint, c decimal(18,6))")
    mariadb.executemany("INSERT INTO t VALUES (%s, %s)", numbers)
    found = read(crm("SELECT * FROM t"), {"source_id": "bigint", "c": "numeric(18,6)"})
    assert sorted(found.rows) == sorted(numbers)


def test_the_lines_mean_the_same_under_every_sql_mode(mariadb, staging):
    mariadb.execute("CREATE TABLE t (source_id int, c text)")
    mariadb.execute("INSERT INTO t VALUES (1, %s)", ["a\\b\n'\"|"])
    source = crm("SELECT * FROM t")
    staging.execute("CREATE TEMP TABLE staged (c text)")
    with open_reader(source) as reader, reader.db.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ANSI,ORACLE,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'")
        entity = source.entities["ticket"]
        reader.copy_into(
            staging, "pg_temp.staged", entity, reader.columns(entity, {"c": "text"}), Window()
        )
    assert staging.execute("SELECT c FROM staged").fetchall() == [("a\\b\n'\"|",)]


def test_text_with_a_nul_is_left_out_or_freed_of_it(mariadb, read):
    mariadb.execute("CREATE TABLE t (source_id int, c text)")
    mariadb.execute("INSERT INTO t VALUES (1, 'good'), (2, concat('b', char(0), 'ad'))")
    wanted = {"source_id": "text", "c": "text"}
    found = read(crm("SELECT * FROM t"), wanted)
    assert (found.rows, found.copied.unreadable) == ([("1", "good")], (b"2\tb\0ad\n",))
    found = read(crm("SELECT * FROM t", bad_text="strip"), wanted)
    assert (found.rows, found.copied.stripped) == ([("1", "good"), ("2", "bad")], 1)


@pytest.mark.parametrize("kind", ["datetime(6)", "timestamp(6) NULL"])
def test_a_window_is_that_of_the_cursor_and_of_what_has_none(mariadb, read, kind):
    mariadb.execute(f"CREATE TABLE t (source_id varchar(9), at {kind}, KEY (at))")
    mariadb.execute(
        """INSERT INTO t VALUES ('before', '2026-01-31 09:59:59.999999'),
               ('at', '2026-01-31 10:00:00'), ('after', '2026-01-31 11:00:00'), ('never', NULL),
               ('zero', '0000-00-00'), ('future', '2037-01-01')"""
    )
    source, wanted = crm("SELECT * FROM t", "at"), {"source_id": "text", "at": "timestamptz"}
    ten, eleven = moment("2026-01-31 10:00Z"), moment("2026-01-31 11:00Z")

    def found(window: Window) -> set[str]:
        return set(read(source, wanted, window).first)

    assert found(Window(lower=ten)) == {"at", "after", "future", "never", "zero"}
    assert found(Window(upper=ten)) == {"before", "never", "zero"}
    assert found(Window(lower=ten, upper=eleven)) == {"at", "never", "zero"}
    assert found(Window(undated=True)) == {"never", "zero"}
    assert found(Window()) == {"before", "at", "after", "never", "zero", "future"}


def test_texts_as_cursor_are_read_two_days_wider_for_their_offsets(mariadb, read):
    mariadb.execute("CREATE TABLE t (source_id varchar(9), at varchar(40))")
    mariadb.execute(
        """INSERT INTO t VALUES ('28', '2026-01-28 23:59:59'), ('29', '2026-01-29T00:00:00Z'),
               ('31', '2026-01-31T01:00:00+14:00'), ('odd', '31.1.2026'), ('zero', '0000-00-00'),
               ('never', NULL), ('3', '2026-02-03 00:00'), ('2', '2026-02-02 23:59:59')"""
    )
    source, wanted = crm("SELECT * FROM t", "at"), {"source_id": "text", "at": "timestamptz"}
    day = Window(lower=moment("2026-01-31 00:00Z"), upper=moment("2026-01-31 10:00Z"))
    assert set(read(source, wanted, day).first) == {"29", "31", "2", "odd", "zero", "never"}
    undated = read(source, wanted, Window(undated=True))
    assert set(undated.first) == {"odd", "zero", "never"}


def test_a_timestamp_is_compared_in_utc_and_a_datetime_in_the_sources_zone(mariadb, read):
    mariadb.execute("CREATE TABLE t (source_id varchar(9), ts timestamp NULL, dt datetime)")
    mariadb.execute(
        """INSERT INTO t VALUES ('old', '2026-07-01 03:59:59', '2026-06-30 23:59:59'),
                                ('new', '2026-07-01 04:00:00', '2026-07-01 00:00:00')"""
    )
    lower = Window(lower=moment("2026-07-01 04:00Z"))
    for cursor in ("ts", "dt"):
        source = crm("SELECT * FROM t", cursor, time_zone="America/New_York")
        found = read(source, {"source_id": "text", "ts": "timestamptz", "dt": "timestamptz"}, lower)
        assert found.rows == [("new", "2026-07-01 04:00:00+00:00", "2026-07-01 00:00:00")]


def test_no_change_is_lost_on_the_night_on_which_an_hour_is_repeated(mariadb, read):
    mariadb.execute("CREATE TABLE t (source_id varchar(40), at datetime)")
    mariadb.execute(
        """INSERT INTO t VALUES ('read before', '2026-10-25 01:59:00'),
                                ('in the first or the second hour', '2026-10-25 02:10:00')"""
    )
    source = crm("SELECT * FROM t", "at", time_zone="Europe/Berlin")
    at_first_0230 = Window(lower=moment("2026-10-25 00:30Z"))
    found = read(source, {"source_id": "text", "at": "timestamptz"}, at_first_0230)
    assert found.first == ["in the first or the second hour"]


def test_a_date_as_cursor_is_read_by_whole_days(mariadb, read):
    mariadb.execute("CREATE TABLE t (source_id varchar(9), at date)")
    mariadb.execute("INSERT INTO t VALUES ('30', '2026-01-30'), ('31', '2026-01-31'), ('0', NULL)")
    source, wanted = crm("SELECT * FROM t", "at"), {"source_id": "text", "at": "timestamptz"}
    assert read(source, wanted, Window(lower=moment("2026-01-31 10:00Z"))).first == ["31", "0"]
    assert read(source, wanted, Window(upper=moment("2026-01-31 00:00Z"))).first == ["30", "0"]
    half = Window(lower=moment("2026-01-31 00:00Z"), upper=moment("2026-01-31 12:00Z"))
    assert read(source, wanted, half).first == ["31", "0"]


def test_a_cursor_that_is_no_time_is_refused(mariadb, read):
    mariadb.execute("CREATE TABLE t (source_id int, at int)")
    with pytest.raises(ConfigError, match="the cursor 'at' is no time but int; write FROM_UNIX"):
        read(crm("SELECT * FROM t", "at"), {"source_id": "text"}, Window(undated=True))


@pytest.mark.parametrize("kind", ["datetime(6)", "timestamp(6) NULL", "varchar(40)", "date"])
def test_batches_part_equal_times_by_the_bytes_of_the_key(mariadb, read, kind):
    mariadb.execute(f"CREATE TABLE t (source_id varchar(9), at {kind}, KEY (at))")
    keys = ["10", "9", "a", "B", "é", "\uff5e", "𝄞", "it's", "\\"]
    mariadb.executemany("INSERT INTO t VALUES (%s, '2026-01-31')", [(key,) for key in keys])
    mariadb.execute("INSERT INTO t VALUES ('last', '2026-02-01'), ('never', NULL)")
    source, wanted = crm("SELECT * FROM t", "at"), {"source_id": "text", "at": "timestamptz"}
    first, second, third = in_batches(read, source, wanted, 4)
    assert first == ["10", "9", "B", "\\"]
    assert second == ["a", "it's", "é", "\uff5e"]
    assert third == ["𝄞", "last"]


def test_batches_without_a_cursor_are_in_the_order_of_the_key_as_text(mariadb, read):
    mariadb.execute("CREATE TABLE t (source_id int)")
    mariadb.execute("INSERT INTO t VALUES (1), (2), (10), (21), (3)")
    source = crm("SELECT source_id, source_id AS at FROM t")
    first = read(source, {"source_id": "text"}, Window(most_rows=3)).first
    rest = read(source, {"source_id": "text"}, Window(after=Position(None, "2"), most_rows=3)).first
    assert (first, rest) == (["1", "10", "2"], ["21", "3"])


@pytest.mark.parametrize("kind", ["datetime", "timestamp NULL"])
def test_the_index_of_the_cursor_serves_a_window_and_a_batch(mariadb, kind):
    mariadb.execute(f"CREATE TABLE t (source_id int PRIMARY KEY, c text, at {kind}, KEY (at))")
    mariadb.executemany(
        "INSERT INTO t VALUES (%s, repeat('x', 200), '2026-01-01' + INTERVAL %s MINUTE)",
        [(n, n) for n in range(5000)],
    )
    mariadb.execute("ANALYZE TABLE t")
    source = crm("SELECT * FROM t", "at")
    entity, late = source.entities["ticket"], moment("2026-01-04 10:00Z")
    batch = Window(after=Position("2026-01-02 00:00:00", "1"), most_rows=10)
    with open_reader(source) as reader:
        staged = reader.columns(entity, {"source_id": "text", "c": "text"})
        for window in (Window(lower=late), batch):
            mariadb.execute(f"EXPLAIN {reader.query(entity, staged, window)}")
            ((*_, how, _, index, _, _, _, _),) = mariadb.fetchall()
            assert (how, index) == ("range", "at")


def test_all_is_read_as_it_was_when_the_reader_was_opened(mariadb, staging):
    mariadb.execute("CREATE TABLE t (source_id int)")
    source = crm("SELECT * FROM t")
    staging.execute("CREATE TEMP TABLE staged (source_id text)")
    with open_reader(source) as reader:
        mariadb.execute("INSERT INTO t VALUES (1)")
        entity = source.entities["ticket"]
        staged = reader.columns(entity, {"source_id": "text"})
        assert reader.copy_into(staging, "pg_temp.staged", entity, staged, Window()).rows == 0


def test_the_clock_stops_before_the_oldest_open_transaction_and_names_it(mariadb, mariadb_url):
    mariadb.execute("CREATE TABLE t (source_id int)")
    source = crm("SELECT * FROM t")
    with connected(mariadb_url) as other, other.cursor() as late:
        late.execute("BEGIN")
        late.execute("INSERT INTO t VALUES (1)")
        late.execute("SELECT utc_timestamp(), sleep(2)")
        ((started, _),) = late.fetchall()
        with open_reader(source) as reader:
            held = reader.clock()
        late.execute("COMMIT")
    assert held.moment.replace(tzinfo=None) <= started
    assert held.held_by.startswith("transaction of thread ")
    with open_reader(source) as first:
        mariadb.execute("SELECT sleep(1.2)")  # the list is 0.1 s old at most, and in seconds
        with open_reader(source) as reader:
            holder = reader.clock().held_by or ""  # of another program on this server
    assert f"thread {other.thread_id()} " not in holder
    assert f"thread {first.db.thread_id()} " not in holder


def test_a_list_of_transactions_that_a_monitor_keeps_old_is_waited_for(mariadb, mariadb_url):
    mariadb.execute("CREATE TABLE t (source_id int)")
    with connected(mariadb_url) as other, connected(mariadb_url) as monitor:

        def look() -> None:
            with monitor.cursor() as watching:
                for _ in range(80):  # a list that was read within 0.1 s is not made anew
                    watching.execute("SELECT count(*) FROM information_schema.innodb_trx")
                    watching.execute("SELECT sleep(0.02)")

        watching = Thread(target=look)
        watching.start()
        with other.cursor() as late:
            late.execute("SELECT sleep(0.1)")
            late.execute("BEGIN")
            late.execute("INSERT INTO t VALUES (1)")
            late.execute("SELECT sleep(1.1)")  # a transaction's start is in whole seconds
        with open_reader(crm("SELECT * FROM t")) as reader:
            holder = reader.clock().held_by
        watching.join()
    assert holder is not None
    assert f"thread {other.thread_id()} " in holder


@pytest.fixture
def account(mariadb, mariadb_url, monkeypatch):
    """An account that may read the CRM, and nothing else."""
    parts = urlsplit(mariadb_url)
    name = parts.path[1:][-20:]
    mariadb.execute(f"CREATE USER {name} IDENTIFIED BY 'x'")
    mariadb.execute(f"GRANT SELECT ON {parts.path[1:]}.* TO {name}")
    monkeypatch.setenv(
        "AIRFLOW_CONN_CRM", f"mysql://{name}:x@{parts.hostname}:{parts.port or 3306}{parts.path}"
    )
    yield name
    mariadb.execute(f"DROP USER {name}")


def test_without_the_right_to_see_transactions_the_clock_is_now(mariadb, mariadb_url, account):
    mariadb.execute("CREATE TABLE t (source_id int)")
    with connected(mariadb_url) as other, other.cursor() as late:
        late.execute("BEGIN")
        late.execute("INSERT INTO t VALUES (1)")
        with open_reader(crm("SELECT * FROM t")) as reader:
            assert (reader.clock().held_by, reader.clock().moment.microsecond) == (None, 0)


def test_a_query_over_its_time_is_one_line(mariadb, read, account):
    mariadb.execute("CREATE TABLE t (source_id int)")
    mariadb.executemany("INSERT INTO t VALUES (%s)", [(n,) for n in range(1000)])
    mariadb.execute(f"ALTER USER {account} WITH MAX_STATEMENT_TIME 0.05")
    slow = crm("SELECT a.source_id FROM t AS a, t AS b, t AS c WHERE a.source_id % 997 = 996")
    with pytest.raises(ResourceError) as raised:
        read(slow, {"source_id": "text"})
    assert str(raised.value).startswith("crm: ")
    assert "nothing was kept of this part; ask for more time (max_statement_time" in str(
        raised.value
    )
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT nr AS source_id FROM t", "Unknown column 'nr'"),
        ("SELECT source_id FROM t2", r"Table '\w+.t2' doesn't exist"),
        ("SELECT source_id, source_id FROM t", "Duplicate column name 'source_id'"),
        ("SELECT source_id FROM mysql.proc", "SELECT command denied to user"),
    ],
)
def test_a_query_that_cannot_run_is_one_line_in_the_servers_words(
    mariadb, read, account, select, said
):
    mariadb.execute("CREATE TABLE t (source_id int)")
    with pytest.raises(ConfigError, match=rf"^crm\.yaml: {said}.*; mend the select, or ask"):
        read(crm(select), {"source_id": "text"})


def test_a_killed_connection_is_an_error_and_no_short_read(mariadb, staging):
    mariadb.execute("CREATE TABLE t (source_id int, c text)")
    mariadb.execute("INSERT INTO t SELECT 1, repeat('x', 1000)")
    for _ in range(15):
        mariadb.execute("INSERT INTO t SELECT * FROM t")
    source = crm("SELECT * FROM t")
    entity = source.entities["ticket"]
    with open_reader(source) as reader:
        staged = reader.columns(entity, {"source_id": "text", "c": "text"})
        blocks = reader._blocks(reader.query(entity, staged, Window()))
        next(blocks)
        mariadb.execute(f"KILL {reader.db.thread_id()}")
        with pytest.raises(pymysql.OperationalError):
            list(blocks)


def packet(number: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


LONG = b"b" * 70000 + b"\n"
RESULT = (
    packet(1, b"\xfd" + struct.pack("<I", len(LONG))[:3] + LONG)
    + packet(2, b"\x02a\n")
    + packet(3, b"\xfe\0\0\0\0")
)


class Pieces(io.RawIOBase):
    """A connection that gives so many bytes at a time, and then no more."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.size = io.BytesIO(data), size

    def readable(self) -> bool:
        return True

    def readinto(self, into: memoryview) -> int:
        return self.data.readinto(into[: self.size])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000, 70008, 70009, 70011, 1 << 20])
def test_a_result_arrives_whole_in_pieces_of_every_size(size):
    ends: list[bytes] = []
    stream = io.BufferedReader(Pieces(RESULT, size))
    assert b"".join(packets.values(stream, ends.append)) == LONG + b"a\n"
    assert ends == [b"\xfe\0\0\0\0"]


def test_a_result_that_is_cut_off_is_an_error_wherever_that_is():
    for cut in [*range(10), 40000, *range(len(RESULT) - 20, len(RESULT))]:
        stream = io.BufferedReader(Pieces(RESULT[:cut], 1000))
        with pytest.raises(pymysql.OperationalError, match="in the middle of a result"):
            list(packets.values(stream, print))


@pytest.fixture
def longer_rows(mariadb):
    """Rows of up to 64 MB, for the sessions to come."""
    mariadb.execute("SELECT @@global.max_allowed_packet")
    ((before,),) = mariadb.fetchall()
    try:
        mariadb.execute(f"SET GLOBAL max_allowed_packet = {64 << 20}")
    except pymysql.err.OperationalError:
        pytest.skip("the account may not set max_allowed_packet")
    yield
    mariadb.execute(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.mark.parametrize(
    "size", [250, 251, 65535, 65536, 1 << 20, (1 << 24) - 8, 1 << 24, 40 << 20]
)
def test_rows_of_every_length_arrive_whole_one_after_the_other(
    mariadb, mariadb_url, longer_rows, read, size
):
    with connected(mariadb_url) as db, db.cursor() as cursor:
        cursor.execute("CREATE TABLE t (source_id int PRIMARY KEY, c longtext)")
        cursor.execute("INSERT INTO t VALUES (1, repeat('x', %s)), (2, 'y')", [size])
        cursor.execute("INSERT INTO t VALUES (3, repeat('z', %s))", [size + 3])
    query = "SELECT source_id, c FROM t ORDER BY source_id"
    found = read(crm(query), {"source_id": "text", "c": "text"})
    assert [(key, c[0], len(c)) for key, c in sorted(found.rows)] == [
        *(("1", "x", size), ("2", "y", 1), ("3", "z", size + 3))
    ]


@pytest.mark.parametrize(
    "columns", ["c longtext, d longtext", "c longblob"], ids=["as a whole", "in hexadecimal"]
)
def test_a_row_longer_than_the_server_sends_is_one_line_and_never_a_null(mariadb, read, columns):
    mariadb.execute("SELECT @@max_allowed_packet")
    ((longest,),) = mariadb.fetchall()
    mariadb.execute(f"CREATE TABLE t (source_id int, {columns})")
    mariadb.execute("INSERT INTO t (source_id, c) VALUES (1, repeat('x', %s))", [longest - 1000])
    if "d longtext" in columns:
        mariadb.execute("UPDATE t SET d = c")
    with pytest.raises(QualityError, match=r"^crm: a row's line is longer than max_allowed_packet"):
        read(crm("SELECT * FROM t"), {"source_id": "text", "c": "text", "d": "text"})


def test_a_text_of_nothing_but_line_breaks_takes_no_longer_than_another(mariadb, read):
    mariadb.execute("CREATE TABLE t (source_id int, c longtext)")
    mariadb.execute("INSERT INTO t VALUES (1, repeat('\\\\\n', 1000000))")
    started = time.monotonic()
    found = read(crm("SELECT * FROM t"), {"source_id": "text", "c": "text"})
    assert found.rows == [("1", "\\\n" * 1000000)]
    assert time.monotonic() - started < 30  # ten minutes where REPLACE lengthens it
