"""The SQL for SQL Server, parsed as T-SQL; no server has run it."""

import pytest
import sqlglot
from hypothesis import given
from sqlglot import exp

from include import connections, copying
from include.errors import ConfigError
from include.landing.readers import Position, Window, sqlserver
from include.landing.readers.lines import Marks
from tests.landing.readers.conftest import REAL, TEXTS, crm, moment

MARKS = Marks("|", "~", "$")
KINDS = {"source_id": "int", "c": "nvarchar(50)", "at": "datetime2(7)"}


def query(kinds: dict[str, str], window: Window, cursor: str | None = None, **settings) -> str:
    source = crm(f"SELECT {', '.join(kinds)} FROM dbo.t", cursor, **settings)
    staged = [sqlserver.staged_column(name, kind, "text") for name, kind in kinds.items()]
    entity = source.entities["ticket"]
    return sqlserver.query(source, entity, kinds, staged, window, MARKS)


def condition(kind: str, window: Window) -> str:
    """What is asked of the cursor."""
    kinds = {"source_id": "int", "at": kind}
    tree = sqlglot.parse_one(query(kinds, window, "at", time_zone="Europe/Berlin"), read="tsql")
    return tree.args["where"].this.sql("tsql")


def test_a_line_is_one_text_of_columns_and_marks_in_bytes():
    assert query({"source_id": "int", "c": "varchar(9)"}, Window()) == (
        "SELECT CONVERT(varbinary(max), CONVERT(nvarchar(max), N'')"
        " + COALESCE(CONVERT(nvarchar(max), q.[source_id]), N'~') COLLATE Latin1_General_100_BIN2"
        " + N'|' + COALESCE(CONVERT(nvarchar(max), q.[c]), N'~') COLLATE Latin1_General_100_BIN2"
        " + N'$') FROM (SELECT source_id, c FROM dbo.t) AS q"
    )


@pytest.mark.parametrize(
    ("kind", "wanted", "staged", "exact"),
    [
        ("tinyint", "integer", "integer", True),
        ("bigint", "integer", "bigint", False),
        ("int", "numeric(18,6)", "numeric(18,6)", True),
        ("bigint", "numeric(18,6)", "numeric", False),
        ("decimal(12,2)", "numeric(18,6)", "numeric(18,6)", True),
        ("numeric(38,10)", "numeric(18,6)", "numeric", False),
        ("smallmoney", "numeric(18,6)", "numeric(18,6)", True),
        ("money", "numeric(18,6)", "numeric", False),
        ("float", "numeric(18,6)", "numeric", False),
        ("bit", "boolean", "text", False),
        ("datetime2(7)", "timestamptz", "text", False),
        ("nvarchar(max)", "text", "text", True),
    ],
)
def test_a_column_is_staged_typed_where_its_type_can_only_be_right(kind, wanted, staged, exact):
    column = sqlserver.staged_column("c", kind, wanted)
    assert (column.type, column.exact) == (staged, exact)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("nvarchar(50)", "CONVERT(nvarchar(max), q.[c]]d])"),
        ("datetime", "CONVERT(nvarchar(40), q.[c]]d], 121)"),
        ("datetimeoffset(7)", "CONVERT(nvarchar(40), SWITCHOFFSET(q.[c]]d], '+00:00'), 121)"),
        ("real", "CONVERT(nvarchar(40), q.[c]]d], 3)"),
        ("money", "CONVERT(nvarchar(40), CONVERT(decimal(19,4), q.[c]]d]))"),
        (
            "varbinary(8)",
            "N'\\x' + LOWER(CONVERT(nvarchar(max), CONVERT(varbinary(max), q.[c]]d]), 2))",
        ),
    ],
)
def test_a_value_is_written_in_a_form_that_no_setting_changes(kind, text):
    assert sqlserver.value("c]d", kind) == text


TEN, ELEVEN = moment("2026-01-31 10:00Z"), moment("2026-01-31 11:00:30Z")


@pytest.mark.parametrize(
    ("kind", "lower", "upper"),
    [
        ("datetime2(3)", "2026-01-31T11:00:00.000000", "2026-01-31T12:00:30.000000"),
        ("datetime", "2026-01-31T11:00:00", "2026-01-31T12:01:00"),
    ],
)  # fmt: skip
def test_a_window_is_in_the_cursors_own_kind_and_the_sources_zone(kind, lower, upper):
    word = kind.partition("(")[0].upper()
    found = condition(kind, Window(lower=TEN, upper=ELEVEN))
    assert found.replace(word, "KIND") == (
        f"(q.[at] >= CAST(N'{lower}' AS KIND) AND q.[at] < CAST(N'{upper}' AS KIND)"
        " OR q.[at] IS NULL)"
    )


def test_a_cursor_with_an_offset_is_compared_in_utc():
    assert condition("datetimeoffset(7)", Window(lower=TEN)) == (
        "(q.[at] >= CAST(N'2026-01-31T10:00:00.000000+00:00' AS DATETIMEOFFSET) OR q.[at] IS NULL)"
    )


def test_a_date_is_read_by_whole_days_and_what_has_none_apart():
    assert condition("date", Window(upper=TEN)) == (
        "(q.[at] <= CAST(N'2026-01-31' AS DATE) OR q.[at] IS NULL)"
    )
    assert condition("date", Window(undated=True)) == "q.[at] IS NULL"
    with pytest.raises(ConfigError, match="the cursor 'at' is no time but varchar"):
        condition("varchar(9)", Window(undated=True))


def test_a_batch_goes_on_beyond_the_last_row_in_the_order_of_cursor_and_key():
    after = Position("2026-01-31 10:00:00.1234567", "it's")
    tree = sqlglot.parse_one(query(KINDS, Window(after=after, most_rows=10), "at"), read="tsql")
    sql = tree.sql("tsql")
    assert sql.startswith("SELECT TOP 10 ")
    assert "q.[at] >= CAST(N'2026-01-31T10:00:00.1234567' AS DATETIME2(7))" in sql
    assert "q.[at] > CAST(N'2026-01-31T10:00:00.1234567' AS DATETIME2(7)) OR " in sql
    assert "> CAST(N'it''s' COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(MAX))" in sql
    first, second = tree.args["order"].expressions
    assert first.this.sql("tsql") == "q.[at]"
    assert second.this.sql("tsql").startswith("CAST(COALESCE(")


@pytest.mark.parametrize("sql", [sqlserver.CLOCK.format(us="N'x'"), sqlserver.NOW])
def test_what_the_clock_asks_is_one_query_of_three_columns(sql):
    (tree,) = sqlglot.parse(sql, read="tsql")
    assert isinstance(tree, exp.Select)
    assert len(tree.expressions) == 3


@REAL
@given(texts=TEXTS)
def test_lines_as_the_server_would_send_them_arrive_as_they_are(staging, texts):
    staging.execute("CREATE TEMP TABLE IF NOT EXISTS staged (n int, c text)")
    staging.execute("TRUNCATE staged")
    marks = Marks.drawn()
    sent = "".join(
        f"{n}{marks.column}{marks.null if text is None else text}{marks.end}"
        for n, text in enumerate(texts)
    ).encode("utf-16-le")
    lines = marks.escaped(sqlserver.as_utf8(sent))
    copying.copy_lines([lines], staging, table="pg_temp.staged")
    found = staging.execute("SELECT c FROM staged ORDER BY n").fetchall()
    assert [c for (c,) in found] == texts


def test_half_a_character_is_found_to_be_no_text(staging):
    staging.execute("CREATE TEMP TABLE staged (c text)")
    lines = sqlserver.as_utf8("good$b\ud834ad$".encode("utf-16-le", "surrogatepass"))
    copied = copying.copy_lines([MARKS.escaped(lines)], staging, table="pg_temp.staged")
    assert staging.execute("SELECT c FROM staged").fetchall() == [("good",)]
    assert copied.unreadable == (b"b\xed\xa0\xb4ad\n",)


@pytest.mark.parametrize("kind", ["mssql", "sqlserver", "mssql+pymssql"])
def test_a_connection_of_sql_server_is_known_by_its_kind(monkeypatch, kind):
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"{kind}://reader:x@crm.example/shop?encryption=off")
    place = connections.address("crm")
    assert (place.dialect, place.where) == ("sqlserver", "crm.example:1433/shop")
    assert place.options == (("encryption", "off"),)


def test_an_error_of_its_driver_is_told_once_and_in_words():
    said = b"DB-Lib error message 20009, severity 9:\nUnable to connect: refused\n"
    wrapped = Exception((20009, said + said))
    assert connections.said_by_sqlserver(wrapped) == (20009, "Unable to connect: refused")
    plain = Exception(208, b"Invalid object name 't'.")
    assert connections.said_by_sqlserver(plain) == (208, "Invalid object name 't'.")
    assert connections.said_by_sqlserver(Exception("closed")) == (0, "closed")
