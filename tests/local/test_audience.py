"""`make audience` writes a list into a file, and who asked for it into the warehouse."""

import csv
import getpass
import io
from datetime import date

import psycopg
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from include.errors import CopyError, InputError
from include.local import audience
from include.marts import export
from tests.faults.scene import postgres_url
from tests.marts.test_audiences import audience as rule
from tests.marts.test_audiences import filled, history

DAY = date(2026, 3, 1)
RECORDS = [("support", "9", 4), ("shop", "c-17", 4), ("shop", 'a "b",\nc', 9)]


@pytest.fixture
def db(warehouse_url, monkeypatch):
    """A warehouse with nine customers on fans (4, 5 and 9 in treatment), and three records."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", postgres_url(warehouse_url))
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        filled(db, {n: {} for n in range(1, 10)}, rule("true", control_share=0.5))
        with db.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO core.identity (source, source_id, customer_id, rule, probability)
                   VALUES (%s, %s, %s, 'email', 1)""",
                RECORDS,
            )
        yield db


def asked(monkeypatch, **given) -> str:
    """What the command prints."""
    for name in ("NAME", "OUT", "GROUP"):
        monkeypatch.setenv(name, str(given.get(name, "")))
    said = io.StringIO()
    audience.audience(None, Console(file=said, width=60))
    return said.getvalue()


def logged(db) -> list[tuple]:
    return db.execute(
        """SELECT audience, generation, split_group, rows, format, exported_by
           FROM ops.audience_export ORDER BY exported_at"""
    ).fetchall()


def test_the_treatment_group_is_written_with_its_records(db, tmp_path, monkeypatch):
    out = tmp_path / "fans.csv"
    said = asked(monkeypatch, NAME="fans", OUT=out)
    assert said == f"{out}: 3 customers of fans (treatment), as of 2026-03-01, generation 1\n"
    assert list(csv.reader(out.open())) == [
        ["customer_id", "split_group", "since", "records"],
        ["4", "treatment", "2026-03-01", "shop:c-17; support:9"],
        ["5", "treatment", "2026-03-01", ""],
        ["9", "treatment", "2026-03-01", 'shop:a "b",\nc'],
    ]
    assert out.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [out]


def test_parquet_holds_the_same_with_types(db, tmp_path, monkeypatch):
    asked(monkeypatch, NAME="fans", OUT=tmp_path / "fans.parquet", GROUP="all")
    table = pq.read_table(tmp_path / "fans.parquet")
    assert table.schema.equals(export.pa.schema(export.COLUMNS))
    assert table.column("customer_id").to_pylist() == list(range(1, 10))
    assert table.column("split_group").to_pylist()[2:5] == ["control", "treatment", "treatment"]
    assert table.column("since").to_pylist() == [DAY] * 9
    assert table.column("records").to_pylist()[3:] == ([
        "shop:c-17; support:9",
        None,
        None,
        None,
        None,
        'shop:a "b",\nc',
    ])


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_audience_of_nobody_gives_a_file_without_rows(db, tmp_path, monkeypatch, form):
    filled(db, {1: {}}, rule("false"), days=1)
    out = tmp_path / f"fans.{form}"
    assert "0 customers" in asked(monkeypatch, NAME="fans", OUT=out)
    if form == "csv":
        assert out.read_text() == "customer_id,split_group,since,records\n"
    else:
        assert pq.read_table(out).num_rows == 0


def test_every_export_is_written_down(db, tmp_path, monkeypatch):
    asked(monkeypatch, NAME="fans", OUT=tmp_path / "fans.csv")
    asked(monkeypatch, NAME="fans", OUT=tmp_path / "fans.parquet", GROUP="control")
    by = f"make audience, {getpass.getuser()}"
    assert logged(db) == [
        ("fans", 1, "treatment", 3, "csv", by),
        ("fans", 1, "control", 6, "parquet", by),
    ]
    seen = db.execute("SELECT * FROM bi.audience_export")
    assert "exported_by" not in [column.name for column in seen.description]


def test_it_is_written_down_even_if_the_file_does_not_come_to_be(db, tmp_path, monkeypatch):
    db.execute("UPDATE mart.audience SET treatment = 100")
    (tmp_path / "fans.csv").write_text("of yesterday")
    with pytest.raises(CopyError, match="of 100 customers found in generation 1, which was ret"):
        asked(monkeypatch, NAME="fans", OUT=tmp_path / "fans.csv")
    assert (tmp_path / "fans.csv").read_text() == "of yesterday"
    assert len(list(tmp_path.iterdir())) == 1
    assert len(logged(db)) == 1


def test_the_publish_that_is_exported_stays_the_same_while_another_one_ends(db, warehouse_url):
    class Sink(io.BytesIO):
        def write(self, block):
            if not self.getvalue():
                with psycopg.connect(warehouse_url, autocommit=True) as other:
                    filled(other, {1: {}}, rule("true"), days=1)
            return super().write(block)

    sink = Sink()
    said = export.write(db, "fans", sink, form="csv", group="all", by="test")
    assert (said.rows, said.generation) == (9, 1)
    assert sink.getvalue().count(b"2026-03-01") == 9


def test_a_rule_that_cannot_be_run_is_told_of(db, tmp_path, monkeypatch):
    history(db, (1, DAY, None, "treatment"))
    filled(db, {1: {}, 2: {}}, rule("nothing = 1"), days=1)
    said = asked(monkeypatch, NAME="fans", OUT=tmp_path / "fans.csv").splitlines()
    assert "1 customers of fans" in said[0]
    assert 'its rule cannot be run: column "nothing" does not exist; these are the' in said[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"NAME": "fans", "OUT": "fans.xlsx"}, "audience: give NAME of bi.audience and OUT, a f"),
        ({"OUT": "fans.csv"}, "audience: give NAME of bi.audience and OUT, a file .csv or .par"),
        ({"NAME": "fans", "OUT": "f.csv", "GROUP": "both"}, "GROUP=both: must be one of treatm"),
        ({"NAME": "fans", "OUT": "/no/such/f.csv"}, "OUT=/no/such/f.csv: no folder /no/such; "),
        ({"NAME": "fan", "OUT": "f.csv"}, "audience 'fan': not published; there are fans"),
    ],
)
def test_what_cannot_be_used_is_said(db, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        asked(monkeypatch, **given)
    assert str(raised.value).startswith(said)
    assert list(tmp_path.iterdir()) == []
    assert logged(db) == []


def test_before_a_publish_it_is_said_what_to_do(empty_database, warehouse_url):
    for url in (empty_database, warehouse_url):
        with psycopg.connect(url) as db, pytest.raises(InputError, match="publish first, `make r"):
            export.write(db, "fans", io.BytesIO(), form="csv", group="all", by="test")
