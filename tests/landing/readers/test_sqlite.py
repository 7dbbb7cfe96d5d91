"""What is read from a SQLite file arrives as SQLite prints it, or not at all."""

import sqlite3
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError, ResourceError
from include.landing.readers import Position, Window, open_reader
from tests.landing.readers.conftest import REAL, TEXTS, crm, in_batches, moment


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the CRM's file will be."""
    path = tmp_path / "crm.sqlite"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"sqlite:///{path}")
    return path


@pytest.fixture
def file(path):
    """The CRM's own connection, which commits each statement."""
    db = sqlite3.connect(path, isolation_level=None)
    yield db
    db.close()


@pytest.mark.parametrize(
    ("value", "there"),
    [
        (None, None),
        ("", ""),
        (-(2**63), "-9223372036854775808"),
        (2**63 - 1, "9223372036854775807"),
        (0.1 + 0.2, "0.3"),
        (123456789012.34, "123456789012.34"),
        (1e300, "1.0e+300"),
        (float("inf"), "Inf"),
        ("0012.50", "0012.50"),
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
        (b"bytes that are text \xc3\xa9", "bytes that are text é"),
    ],
)
def test_a_value_of_each_kind_arrives_as_sqlite_prints_it(file, read, value, there):
    file.execute("CREATE TABLE t (c)")
    file.execute("INSERT INTO t VALUES (?)", [value])
    found = read(crm("SELECT c, 7 AS source_id FROM t"), {"c": "timestamptz", "source_id": "text"})
    assert (found.types, found.rows) == (["text", "text"], [(there, "7")])
    assert read(crm("SELECT c FROM t"), {"c": "text"}).rows == [(there,)]


@REAL
@given(texts=TEXTS)
def test_any_text_arrives_as_it_is(file, read, texts):
    file.execute("DROP TABLE IF EXISTS t")
    file.execute("CREATE TABLE t (source_id int, c text)")
    file.executemany("INSERT INTO t VALUES (?, ?)", enumerate(texts))
    found = read(crm("SELECT * FROM t"), {"source_id": "text", "c": "text"})
    assert [c for _, c in sorted(found.rows, key=lambda row: int(row[0]))] == texts
    assert found.copied.rows == len(texts)


@REAL
@given(cents=st.lists(st.integers(-(10**13), 10**13), min_size=1))
def test_money_in_floats_is_right_to_the_cent(file, read, cents):
    file.execute("DROP TABLE IF EXISTS t")
    file.execute("CREATE TABLE t (c real)")
    file.executemany("INSERT INTO t VALUES (?)", [(cent / 100,) for cent in cents])
    found = read(crm("SELECT c FROM t"), {"c": "numeric(18,6)"})
    assert sum(map(Decimal, found.first)) == Decimal(sum(cents)) / 100


@pytest.mark.parametrize("bad", [b"\0", b"\xff", b"\xc3"])
def test_text_that_is_none_is_left_out_or_freed_of_it(file, read, bad):
    file.execute("CREATE TABLE t (source_id, c)")
    file.execute("INSERT INTO t VALUES (1, 'good'), (2, CAST(? AS TEXT))", [b"b" + bad + b"ad"])
    wanted = {"source_id": "text", "c": "text"}
    found = read(crm("SELECT * FROM t"), wanted)
    assert (found.rows, found.copied.unreadable) == ([("1", "good")], (b"2\tb" + bad + b"ad\n",))
    found = read(crm("SELECT * FROM t", bad_text="strip"), wanted)
    assert (found.rows, found.copied.stripped) == ([("1", "good"), ("2", "bad")], 1)


def test_a_file_in_utf16_is_read_too(file, read):
    file.execute("PRAGMA encoding = 'UTF-16'")
    file.execute("CREATE TABLE t (source_id int, c text)")
    file.execute("INSERT INTO t VALUES (1, 'é\t客𝄞'), (2, NULL)")
    found = read(crm("SELECT * FROM t"), {"source_id": "text", "c": "text"})
    assert found.rows == [("1", "é\t客𝄞"), ("2", None)]
    with pytest.raises(ConfigError, match=r"is in UTF-16le, which sorts keys differently"):
        read(crm("SELECT * FROM t"), {"source_id": "text"}, Window(most_rows=1))


def test_a_window_is_that_of_the_moments_whatever_their_offsets(file, read):
    file.execute("CREATE TABLE t (source_id text, at)")
    file.executemany(
        "INSERT INTO t VALUES (?, ?)",
        [
            ("before", "2026-01-31 10:59:59.999"),
            ("at", "2026-01-31 11:00:00"),
            ("after", "2026-01-31T11:00:01"),
            ("before in UTC", "2026-01-31T09:59:59.999Z"),
            ("at in UTC", "2026-01-31 10:00:00+00:00"),
            ("before in Samoa", "2026-01-31 22:59:59+13:00"),
            ("at in Samoa", "2026-01-31T23:00:00.000+13:00"),
            ("day", "2026-02-01"),
            ("future", "2037-01-01 00:00:00"),
            ("never", None),
            ("odd", "31.1.2026 11:00"),
            ("number", 1769853600),
        ],
    )
    source = crm("SELECT * FROM t", "at", time_zone="Europe/Berlin")
    ten, unread = moment("2026-01-31 10:00Z"), {"never", "odd", "number"}

    def found(window: Window) -> set[str]:
        return set(read(source, {"source_id": "text", "at": "timestamptz"}, window).first)

    later = {"at", "after", "at in UTC", "at in Samoa", "day", "future"}
    assert found(Window(lower=ten)) == later | unread
    assert found(Window(upper=ten)) == {"before", "before in UTC", "before in Samoa"} | unread
    assert found(Window(undated=True)) == unread
    assert found(Window(lower=ten, most_rows=99)) == later


def test_no_change_is_lost_on_the_night_on_which_an_hour_is_repeated(file, read):
    file.execute("CREATE TABLE t (source_id, at)")
    file.execute(
        """INSERT INTO t VALUES ('read before', '2026-10-25 01:59:00'),
                                ('in the first or the second hour', '2026-10-25 02:10:00')"""
    )
    source = crm("SELECT * FROM t", "at", time_zone="Europe/Berlin")
    at_first_0230 = Window(lower=moment("2026-10-25 00:30Z"))
    found = read(source, {"source_id": "text", "at": "timestamptz"}, at_first_0230)
    assert found.first == ["in the first or the second hour"]


def test_batches_part_equal_times_by_the_bytes_of_the_key(file, read):
    file.execute("CREATE TABLE t (source_id, at)")
    keys = [10, "9", "a", "B", "é", "\uff5e", "𝄞", "it's", "\\"]
    file.executemany("INSERT INTO t VALUES (?, '2026-01-31 10:00')", [(key,) for key in keys])
    file.execute("INSERT INTO t VALUES ('last', '2026-01-31T09:00Z'), ('never', NULL)")
    source, wanted = crm("SELECT * FROM t", "at"), {"source_id": "text", "at": "timestamptz"}
    first, second, third = in_batches(read, source, wanted, 4)
    assert first == ["10", "9", "B", "\\"]
    assert second == ["a", "it's", "é", "\uff5e"]
    assert third == ["𝄞", "last"]


def test_batches_without_a_cursor_are_in_the_order_of_the_key_as_text(file, read):
    file.execute("CREATE TABLE t (source_id int)")
    file.execute("INSERT INTO t VALUES (1), (2), (10), (21), (3)")
    source, wanted = crm("SELECT * FROM t"), {"source_id": "text"}
    first = read(source, wanted, Window(most_rows=3)).first
    rest = read(source, wanted, Window(after=Position(None, "2"), most_rows=3)).first
    assert (first, rest) == (["1", "10", "2"], ["21", "3"])


def test_all_is_read_as_it_was_when_the_reader_was_opened(file, staging):
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("CREATE TABLE t (source_id)")
    source = crm("SELECT * FROM t")
    staging.execute("CREATE TEMP TABLE staged (source_id text)")
    with open_reader(source) as reader:
        file.execute("INSERT INTO t VALUES (1)")
        entity = source.entities["ticket"]
        staged = reader.columns(entity, {"source_id": "text"})
        assert reader.copy_into(staging, "pg_temp.staged", entity, staged, Window()).rows == 0
        assert reader.clock().moment <= reader.clock().now


def test_the_shape_of_a_query_is_asked_without_running_it(file):
    endless = """WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n)
                 SELECT max(i) AS source_id, 1 AS c FROM n"""
    started = time.monotonic()
    with open_reader(crm("SELECT 1")) as reader:
        assert reader.shape(endless) == {"source_id": "any", "c": "any"}
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT nr AS source_id FROM t", "no such column: nr"),
        ("SELECT source_id FROM t2", "no such table: t2"),
        ("SELECT source_id FRM t", 'near "t": syntax error'),
    ],
)
def test_a_query_that_cannot_run_is_one_line_in_sqlites_words(file, read, select, said):
    file.execute("CREATE TABLE t (source_id int)")
    with pytest.raises(ConfigError, match=rf"^crm\.yaml: {said}; mend the select, or ask"):
        read(crm(select), {"source_id": "text"})


def test_a_file_that_is_being_written_is_one_line(file, path):
    file.execute("CREATE TABLE t (source_id int)")
    file.execute("BEGIN EXCLUSIVE")
    reader = open_reader(crm("SELECT * FROM t"))
    reader.db.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(ResourceError) as raised, reader:
        pass
    assert str(raised.value) == (
        f"crm: {path}: database is locked; "
        "a program is writing to it: run again when that has ended"
    )


@pytest.mark.parametrize("damage", ["no database", "cut off", "overwritten"])
def test_a_file_that_is_no_whole_database_is_one_line(file, path, read, damage):
    file.execute("CREATE TABLE t (source_id int, c text)")
    file.execute("BEGIN")
    file.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 900) for n in range(500)])
    file.execute("COMMIT")
    file.close()
    whole = path.read_bytes()
    path.write_bytes(
        {
            "no database": b"PK\3\4" + whole[4:],
            "cut off": whole[: len(whole) // 2],
            "overwritten": whole[: len(whole) // 2] + bytes(len(whole) // 2),
        }[damage]
    )
    with pytest.raises(ResourceError, match=r"^crm: .*; the file is damaged or no SQLite database"):
        read(crm("SELECT * FROM t"), {"source_id": "text", "c": "text"})


def test_a_file_that_is_not_there_is_one_line(path):
    with pytest.raises(ResourceError, match=rf"^crm: no file {path}; check AIRFLOW_CONN_CRM$"):
        open_reader(crm("SELECT 1"))
