"""Values made comparable, junk left out, and files that nobody here made."""

import json

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from include.errors import ConfigError, InputError
from include.identity import fields, records
from include.identity.learn import Patterns, matched
from include.local.match import matched as matched_files
from tests.identity.test_likeness import town

CONFIG = """
id: record
fields:
  given: {kind: given_name, value: first_name, swap: family}
  family: {kind: name, value: last_name, swap: given}
  email: {kind: email}
  phone: {kind: phone}
  born: {kind: date, value: birth_date}
  city: {kind: place}
blocks: [[email], [phone], [given, family], [born, given], [born, family]]
train: [[given, family], [email], [born]]
sure: [[email, family], [given, family, born]]
"""


def cleaned(kind: str, *values: str | None) -> list[str | None]:
    """What a field of ``kind`` keeps of each value."""
    wanted = fields.Fields(
        fields={"x": {"kind": kind}, "y": {"kind": "category"}},
        blocks=[["x"]], train=[["x"], ["y"]], sure=[["x"]],
    )  # fmt: skip
    with duckdb.connect() as db:
        db.execute("CREATE TABLE raw (n bigint, x text, y text)")
        db.executemany("INSERT INTO raw VALUES (?, ?, NULL)", list(enumerate(values)))
        records.prepare(db, wanted, "raw")
        return [row[0] for row in db.execute("SELECT x FROM record ORDER BY n").fetchall()]


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("name", "Müßig", "MUSSIG"),
        ("name", "O'Neil", "oneil"),
        ("place", "Grünwalde am See", "Grunwaldeamsee"),
        ("words", "Demo Street 12", "12, demo street"),
        ("phone", "+49 (170) 123-4567", "0049 170 1234567 ext. 89"),
        ("email", " Ada@Mail.Test ", "ada@mail.test"),
        ("date", "1980-01-31", "19800131"),
    ],
)
def test_one_value_written_in_two_ways(kind, one, other):
    first, second = cleaned(kind, one, other)
    assert first == second is not None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("name", "Unknown"), ("name", "--"), ("email", "none@none.com"), ("email", "n/a"),
        ("email", "two words"), ("phone", "000-0000"), ("phone", "12345"), ("code", "N/A"),
    ],
)  # fmt: skip
def test_a_placeholder_says_nothing(kind, value):
    assert cleaned(kind, value) == [None]


def test_an_address_of_more_than_twenty_records_says_nothing():
    assert cleaned("email", *["desk@mail.test"] * 20, "ada@mail.test")[0] == "desk@mail.test"
    assert set(cleaned("email", *["desk@mail.test"] * 21, "ada@mail.test")) == {
        *(None, "ada@mail.test")
    }


def test_a_date_far_more_frequent_than_others_says_nothing():
    dates = [f"19{year}-01-{day:02}" for year in range(40, 80) for day in range(1, 29)]
    assert cleaned("date", *["1900-01-01"] * 60, *dates)[59:61] == [None, "19400101"]


def test_a_nickname_has_the_roots_of_its_name():
    assert fields.roots()["bill"] == ["william"]
    assert fields.roots()["alex"] == ["alexander", "alexandra"]


def test_levels_that_only_one_person_shows_are_learnt_without_an_example():
    # 90 pairs agree on both fields, 900 on none, 10 on the first only
    seen = Patterns(np.array([[1, 1], [0, 0], [1, 0]], np.int8), np.array([90, 900, 10]))
    strangers = [np.array([0.98, 0.02]), np.array([0.99, 0.01])]
    likely, pairs = matched(seen, strangers, [0, 1])
    assert 85 < pairs < 100
    assert likely[0][1] > 0.95
    assert likely[1][1] > 0.9


@pytest.fixture
def files(tmp_path):
    """A town as a CSV file, its truth and its fields."""
    rows = town()
    (tmp_path / "fields.yaml").write_text(CONFIG)
    columns = ("first_name", "last_name", "email", "phone", "birth_date", "city")
    lines = [",".join([row["id"], *(row[name] or "" for name in columns)]) for row in rows]
    (tmp_path / "town.csv").write_text("\n".join([",".join(["record", *columns]), *lines]))
    truth = [f"{row['id']},{row['id'].partition(':')[2]}" for row in rows]
    (tmp_path / "truth.csv").write_text("\n".join(["id,cluster", *truth]))
    return tmp_path


def test_files_are_matched_and_judged(files):
    figures = matched_files(
        [files / "town.csv"], files / "fields.yaml",
        truth=files / "truth.csv", out=files / "out.parquet",
    )  # fmt: skip
    assert (figures["records"], figures["cluster_precision"]) == (720, 1.0)
    assert figures["cluster_f1"] > 0.97
    written = pq.read_table(files / "out.parquet")
    assert written.column_names == ["id", "cluster"]
    assert len(set(written["cluster"].to_pylist())) == figures["clusters"]
    json.dumps(figures)


def test_a_config_that_cannot_be_used_says_where(files):
    config = files / "fields.yaml"
    config.write_text(CONFIG.replace("kind: place", "kind: town"))
    with pytest.raises(ConfigError, match=r"fields.yaml: .*fields.city.kind is town"):
        matched_files([files / "town.csv"], config)
    config.write_text(CONFIG.replace("id: record", "id: key"))
    with pytest.raises(InputError, match="match: id is key, the files have record, first_name"):
        matched_files([files / "town.csv"], config)
