"""Texts that CRMs really hold: they land exactly, or are set aside, never lost."""

import json
import random
from contextlib import contextmanager
from decimal import Decimal

import pytest

from tests.faults import crms
from tests.faults.crms import GOODS, landed, load, set_aside

databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
postgres = crms.fixture("postgres")
mariadb = crms.fixture("mysql")
sqlite = crms.fixture("sqlite")


NUL = {"mysql": "concat('a', char(0), 'b')", "sqlite": "'a' || char(0) || 'b'"}


LATIN1 = "CAST(x'636166e9' AS TEXT)"


with_nul = crms.fixture("mysql", "sqlite")


def table_of_goods(crm, warehouse, later):
    crm.create("goods", sku="key", title="text", price="money")
    if later:
        load(warehouse, GOODS, run_id="r0")
    return crm


@pytest.fixture
def goods_with_nul(with_nul, warehouse, later):
    """An empty table of goods where a text may hold a NUL; PostgreSQL knows none."""
    return table_of_goods(with_nul, warehouse, later)


@pytest.fixture
def raw(sqlite, warehouse, later):
    """An empty table of goods where a text may hold any bytes."""
    return table_of_goods(sqlite, warehouse, later)


def check_bad_text_is_set_aside(raw, warehouse, bad: str) -> None:
    raw.run(f"INSERT INTO goods VALUES ('a', 'Apple', '1'), ('b', {bad}, '2'), ('c', 'Käse', '3')")
    loaded = load(warehouse, GOODS)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (3, 2, 1)
    assert landed(warehouse, "source_id, name") == [("a", "Apple"), ("c", "Käse")]
    assert set_aside(warehouse) == [("b", "text", "")]
    ((payload,),) = warehouse.execute("SELECT payload FROM ops.quarantine").fetchall()
    assert list(payload) == ["line"]
    assert payload["line"].startswith("b\t")
    assert load(warehouse, GOODS, run_id="r2").quarantined == 0
    raw.run("UPDATE goods SET title = 'Bread' WHERE sku = 'b'")
    assert load(warehouse, GOODS, run_id="r3").inserted == 1
    assert set_aside(warehouse) == []


def check_bad_text_is_stripped(raw, warehouse, bad: str, freed: str) -> None:
    raw.run(f"INSERT INTO goods VALUES ('a', 'Apple', '1'), ('b', {bad}, '2')")
    loaded = load(warehouse, GOODS, bad_text="strip")
    assert (loaded.inserted, loaded.quarantined) == (2, 0)
    assert landed(warehouse, "source_id, name") == [("a", "Apple"), ("b", freed)]
    assert crms.ledger(warehouse, "rows_stripped") == 1


@pytest.mark.fault("F27", how="a NUL in one of three rows, then mended")
def test_f27_a_text_with_a_nul_is_set_aside_until_it_is_mended(goods_with_nul, warehouse):
    check_bad_text_is_set_aside(goods_with_nul, warehouse, NUL[goods_with_nul.dialect])


@pytest.mark.fault("F27", how="a NUL in a text, with bad_text strip")
def test_f27_a_nul_can_be_stripped_and_is_counted(goods_with_nul, warehouse):
    check_bad_text_is_stripped(goods_with_nul, warehouse, NUL[goods_with_nul.dialect], "ab")


@pytest.mark.fault("F27", how="a NUL in every second row, in batches of two")
def test_f27_bad_text_at_the_edges_of_batches_costs_no_other_row(with_nul, warehouse):
    with_nul.create("goods", sku="key", title="text", price="money", changed="moment")
    stamp = crms.ago(hours=2)
    for n in range(9):
        title = NUL[with_nul.dialect] if n % 2 else "'good'"
        with_nul.run(f"INSERT INTO goods VALUES ('k{n}', {title}, {n}, '{stamp}')")
    load(warehouse, crms.STAMPED, batch_rows=2)
    good = [(f"k{n}", "good") for n in range(0, 9, 2)]
    assert landed(warehouse, "source_id, name") == good
    assert set_aside(warehouse) == [(f"k{n}", "text", "") for n in range(1, 9, 2)]


@pytest.mark.fault("F28", how="bytes of Latin-1 in a text of SQLite, then mended")
def test_f28_a_text_that_is_not_utf8_is_set_aside_until_it_is_mended(raw, warehouse):
    check_bad_text_is_set_aside(raw, warehouse, LATIN1)


@pytest.mark.fault("F28", how="bytes of Latin-1, with bad_text strip")
def test_f28_bytes_that_are_no_text_can_be_stripped_and_are_counted(raw, warehouse):
    check_bad_text_is_stripped(raw, warehouse, LATIN1, "caf")


@pytest.mark.fault("F28", how="a landed text goes bad while deletes are swept")
def test_f28_a_row_whose_text_goes_bad_keeps_its_landed_version_and_is_not_deleted(raw, warehouse):
    swept = {**GOODS, "deletes": "sweep"}
    raw.add("goods", ("a", "Apple", "1"), ("b\\\t", "Bread", "2"))
    load(warehouse, swept)
    raw.run(f"UPDATE goods SET title = {LATIN1} WHERE title = 'Bread'")
    loaded = load(warehouse, swept, run_id="r2")
    assert (loaded.deleted, loaded.quarantined) == (0, 1)
    assert landed(warehouse, "source_id, name, deleted_at") == [
        ("a", "Apple", None),
        ("b\\\t", "Bread", None),
    ]
    assert set_aside(warehouse) == [("b\\\t", "text", "")]


@pytest.mark.fault("F28", how="three rows of bad text, two of them without a key")
def test_f28_every_row_of_bad_text_is_kept_even_without_a_key(raw, warehouse):
    for key, price in (("NULL", 1), ("NULL", 2), ("'c'", 3)):
        raw.run(f"INSERT INTO goods VALUES ({key}, {LATIN1}, {price})")
    loaded = load(warehouse, GOODS)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (3, 0, 3)
    assert set_aside(warehouse) == [("c", "text", ""), (None, "text", ""), (None, "text", "")]
    assert load(warehouse, GOODS, run_id="r2").quarantined == 0


@pytest.mark.fault("F28", how="columns of MariaDB in five character sets")
def test_f28_every_character_set_of_mariadb_lands_as_the_same_text(mariadb, warehouse):
    texts = {
        "latin1": "café",
        "cp1251": "чай",
        "sjis": "お茶",
        "utf16": "🫖 茶",
        "utf8mb3": "Žluť",
    }
    kinds = {name: f"varchar(20) CHARACTER SET {name}" for name in texts}
    mariadb.create("goods", **kinds)
    mariadb.add("goods", tuple(texts.values()))
    for number, name in enumerate(texts):
        select = f"SELECT '{name}' AS source_id, `{name}` AS name FROM goods"
        load(warehouse, {"select": select}, run_id=f"r{number}")
    assert dict(landed(warehouse, "source_id, name")) == texts


@pytest.mark.fault("F28", how="a binary column of MariaDB: as hexadecimal digits, or converted")
def test_f28_bytes_of_mariadb_lose_nothing_and_can_be_named_as_text(mariadb, warehouse):
    mariadb.create("goods", sku="key", title="varbinary(20)", price="money")
    mariadb.run("INSERT INTO goods VALUES ('a', x'636166e9', 1), ('b', x'00', 2)")
    load(warehouse, GOODS)
    assert landed(warehouse, "source_id, name") == [("a", r"\x636166e9"), ("b", r"\x00")]
    named = GOODS["select"].replace("title", "CONVERT(title USING latin1)")
    loaded = load(warehouse, {"select": named}, run_id="r2")
    assert (loaded.updated, loaded.quarantined) == (1, 1)
    assert landed(warehouse, "source_id, name")[0] == ("a", "café")


SIGNS = [
    *("\\", "\\.", "\\N", "\\n", "\\t", "\\x41", "\\101", "\t", "\n", "\r", "\r\n", "\v", "\f"),
    *("\b", "\x01", "\x1f", "\x7f", "'", '"', "`", "%s", "%", "{}", "$1", ";", "--", "/*", ","),
    *(" ", "\u00a0", "\u2028", "\ufeff", "\ufffd", "é", "e\u0301", "İ", "ß", "客户", "🫖"),
    *("\U0010ffff", "NULL", "null", "0", "a", "A"),
]


def awkward(seed: int) -> list[str]:
    """Every sign alone, then 300 random texts of them."""
    pick = random.Random(seed)  # noqa: S311  nothing secret
    return [*SIGNS, *("".join(pick.choices(SIGNS, k=pick.randrange(1, 9))) for _ in range(300))]


@pytest.mark.fault("F29", how="random texts of awkward signs, as value and as key, three databases")
def test_f29_every_text_lands_exactly_as_it_is_in_the_source(goods, warehouse, seed):
    texts = [(f"{number:03d}{text}", text) for number, text in enumerate(awkward(seed))]
    goods.add("goods", *((key, text, None, None) for key, text in texts))
    load(warehouse, GOODS)
    found = dict(landed(warehouse, "source_id, name"))
    assert [(key, text, found.get(key)) for key, text in texts if found.get(key) != text] == []
    assert len(found) == len(texts)
    assert load(warehouse, GOODS, run_id="r2").updated == 0


@pytest.mark.fault("F30", how="random empty, blank and missing texts in three databases")
def test_f30_empty_blank_and_missing_texts_stay_apart(goods, warehouse, seed):
    pick = random.Random(seed)  # noqa: S311  nothing secret
    kinds = {f"{number:03d}": pick.choice([None, "", " ", "\t", "\\N"]) for number in range(100)}
    goods.add("goods", *((key, "", None, kind) for key, kind in kinds.items()))
    query = "SELECT sku AS source_id, title AS name, kind AS category FROM goods"
    load(warehouse, {"select": query})
    assert dict(landed(warehouse, "source_id, category")) == kinds
    assert landed(warehouse, "DISTINCT name, 1") == [("", 1)]


@contextmanager
def in_encoding(url, encoding, monkeypatch):
    """A CRM in PostgreSQL in another encoding than UTF-8."""
    how = f"ENCODING {encoding} LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    with crms.own_database(url, how) as conninfo, crms.postgres(conninfo, monkeypatch) as crm:
        yield crm


ASCII_TEXTS = [
    (0, "E'caf\\xe9'"),
    (1, "E'caf\\xc3\\xa9'"),
    (2, "'plain'"),
    (3, "E'tab\\t\\\\ back'"),
]


@pytest.mark.fault("F45", how="a database without an encoding: UTF-8 lands, Latin-1 is set aside")
def test_f45_of_a_database_without_an_encoding_what_is_utf8_lands(
    postgres_url, warehouse, monkeypatch
):
    with in_encoding(postgres_url, "SQL_ASCII", monkeypatch) as crm:
        crm.create("goods", sku="key", title="text", price="money")
        for run_id in ("a", "b"):  # the first load and a later one take different ways
            rows = ", ".join(f"('{run_id}{n}', {text}, {n}.5)" for n, text in ASCII_TEXTS)
            crm.run(f"INSERT INTO goods VALUES {rows}")
            assert load(warehouse, GOODS, run_id=run_id).quarantined == 1
        assert landed(warehouse, "source_id, name, price") == [
            (f"{run_id}{n}", text, Decimal(f"{n}.5"))
            for run_id in ("a", "b")
            for n, text in [(1, "café"), (2, "plain"), (3, "tab\t\\ back")]
        ]
        assert set_aside(warehouse) == [("a0", "text", ""), ("b0", "text", "")]


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP"])
@pytest.mark.fault("F45", how="databases in Latin-1 and EUC_JP")
def test_f45_a_database_in_another_encoding_lands_as_the_same_text(
    encoding, postgres_url, warehouse, monkeypatch
):
    text = "お茶" if encoding == "EUC_JP" else "Käse"
    with in_encoding(postgres_url, encoding, monkeypatch) as crm:
        crm.create("goods", sku="key", title="text", price="money")
        crm.add("goods", ("a", text, "1"))
        load(warehouse, GOODS)
        assert landed(warehouse, "source_id, name") == [("a", text)]


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
@pytest.mark.fault("F45", how="SQLite files in UTF-16")
def test_f45_a_sqlite_file_in_utf16_lands_as_the_same_text(encoding, sqlite, warehouse):
    sqlite.run(f"PRAGMA encoding = '{encoding}'")
    sqlite.create("goods", sku="key", title="text", price="money")
    sqlite.add("goods", ("a", "Käse 🫖 お茶", "1"))
    load(warehouse, GOODS)
    assert landed(warehouse, "source_id, name") == [("a", "Käse 🫖 お茶")]


MANY_TYPES = """
CREATE TYPE mood AS ENUM ('fine', 'bad');
CREATE TABLE goods (sku uuid PRIMARY KEY, title varchar(20), price numeric(14,4), stock boolean,
    since timestamp, until date, changed timestamptz, tags text[], mood mood, doc jsonb, n int);
INSERT INTO goods VALUES ('6ecd8c99-4036-403d-bf84-cf8400f67836', 'Käse', 12.3400, true,
    '2026-01-05 10:00', '2026-02-01', '2026-01-05 10:00+01', ARRAY['a', NULL], 'fine',
    '{"a": 1.50}', 7)
"""


@pytest.mark.fault("F45", how="source and warehouse are PostgreSQL of different versions")
def test_f45_a_server_of_another_version_is_read(
    postgres_url, warehouse, monkeypatch, tmp_path_factory
):
    with crms.another_postgres(postgres_url, monkeypatch, tmp_path_factory) as crm:
        assert crm.db.info.server_version // 10000 != warehouse.info.server_version // 10000
        crm.run(MANY_TYPES)
        beside = ["tags", "mood", "doc", "n"]
        query = f"""SELECT sku AS source_id, title AS name, price, stock AS in_stock,
            since AS available_from, until AS discontinued_at, changed, {", ".join(beside)}
            FROM goods"""
        load(warehouse, {"select": query, "cursor": "changed", "pass_through": beside})
        columns = "source_id, name, price, in_stock, available_from::text, discontinued_at::text"
        assert landed(warehouse, columns) == [
            (
                *("6ecd8c99-4036-403d-bf84-cf8400f67836", "Käse", Decimal("12.34"), True),
                *("2026-01-05 10:00:00+00", "2026-02-01 00:00:00+00"),
            )
        ]
        ((kept,),) = warehouse.execute("SELECT pass_through FROM landing.product").fetchall()
        assert kept == {"tags": "{a,NULL}", "mood": "fine", "doc": '{"a": 1.50}', "n": "7"}
        assert json.loads(kept["doc"]) == {"a": 1.5}
