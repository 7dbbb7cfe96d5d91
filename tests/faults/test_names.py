"""Names that a database allows, and documents of any shape."""

import pytest

from include.errors import ConfigError
from tests.faults import crms
from tests.faults.crms import GOODS, landed, load

databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
postgres = crms.fixture("postgres")
sqlite = crms.fixture("sqlite")


DOCUMENTS = [
    '{"n": 1e400}',
    '{"n": 12345678901234567890123456789012345678.123456789012345678}',
    '{"n": 0.1, "s": "tab\\tline\\nback\\\\ \\u00e9 \\ud83e\\uded6"}',
    "[" * 1500 + "]" * 1500,
    '{"a": "\\u0000"}',
    "  null ",
    '{"a": 1, "a": 2}',
]


@pytest.mark.fault("F38", how="JSON of huge numbers, 1,500 levels and double keys, by the letter")
def test_f38_json_beside_the_model_is_kept_to_the_letter(crm, warehouse, later):
    kind = "json" if crm.dialect == "postgres" else "text"
    crm.create("goods", sku="key", title="text", doc=kind)
    query = "SELECT sku AS source_id, title AS name, doc FROM goods"
    how = {"select": query, "pass_through": ["doc"]}
    if later:
        load(warehouse, how, run_id="r0")
    crm.add("goods", *((str(n), "", document) for n, document in enumerate(DOCUMENTS)))
    load(warehouse, how)
    found = landed(warehouse, "source_id::int, pass_through ->> 'doc'")
    assert found == list(enumerate(DOCUMENTS))
    assert load(warehouse, how, run_id="r2").updated == 0


ODD_NAMES = ["order", "Größe", "100%", "it's", 'say "x"', "CamelCase", "a b", "payload", "fault"]


@pytest.mark.fault("F40", how="reserved, accented, quoted and bookkeeping names beside the model")
def test_f40_a_column_of_any_name_is_kept_beside_the_model(crm, warehouse, later):
    crm.create("goods", sku="key", **{f"c{n}": "text" for n in range(len(ODD_NAMES))})
    listed = ", ".join(f"c{n} AS {crm.quoted(name)}" for n, name in enumerate(ODD_NAMES))
    query = f"SELECT sku AS source_id, sku AS name, {listed} FROM goods"
    how = {"select": query, "pass_through": ODD_NAMES, "deletes": "sweep"}
    if later:
        load(warehouse, how, run_id="r0")
    crm.add("goods", ("a", *ODD_NAMES))
    load(warehouse, how)
    ((_, kept),) = landed(warehouse, "source_id, pass_through")
    assert kept == {name: name for name in ODD_NAMES}
    crm.add("goods", (None, *ODD_NAMES))
    load(warehouse, how, run_id="r2")
    ((payload,),) = warehouse.execute("SELECT payload FROM ops.quarantine").fetchall()
    assert {name: payload[name] for name in ODD_NAMES} == kept


@pytest.mark.fault("F40", how="a name that PostgreSQL keeps for its own columns")
def test_f40_a_name_that_postgresql_keeps_for_itself_is_refused(crm, warehouse):
    crm.create("goods", sku="key")
    crm.add("goods", ("a",))
    query = "SELECT sku AS source_id, sku AS name, sku AS xmin FROM goods"
    with pytest.raises(ConfigError, match=r"crm\.yaml: entities\.product.*xmin"):
        load(warehouse, {"select": query, "pass_through": ["xmin"]})


@pytest.mark.parametrize("name", ["Geändert am", "order", "100% late", "it's", 'the "date"'])
@pytest.mark.fault("F40", how="the cursor, the deletion mark and the table have odd names")
def test_f40_cursor_and_deletion_mark_may_have_any_name(name, crm, warehouse):
    gone = f"{name} gone"
    crm.create("50% of `all`", Id="key", **{name: "moment", gone: "text"})
    listed = f"{crm.quoted('Id')} AS source_id, {crm.quoted('Id')} AS name"
    query = f"SELECT {listed}, {crm.quoted(name)}, {crm.quoted(gone)} FROM "
    table = crm.quoted("50% of `all`")
    how = {"select": query + table, "cursor": name, "deletes": {"column": gone}}
    crm.add("50% of `all`", ("a", crms.ago(hours=5), "0"))
    assert load(warehouse, how).inserted == 1
    crm.add("50% of `all`", ("b", crms.ago(minutes=1), "1"))
    loaded = load(warehouse, how, run_id="r2")
    assert (loaded.read, loaded.inserted) == (1, 1)
    found = landed(warehouse, "source_id, deleted_at IS NOT NULL")
    assert found == [("a", False), ("b", True)]


LONG = "the_name_of_a_column_that_a_generator_made_and_that_nobody_shortened"
not_postgres = crms.fixture("mysql", "sqlite")


@pytest.mark.fault("F40", how="two names that are the same in their first 63 bytes")
def test_f40_names_that_postgresql_would_cut_to_the_same_are_refused(not_postgres, warehouse):
    names = [f"{LONG}_1", f"{LONG}_2"]
    not_postgres.create("goods", sku="key")
    not_postgres.add("goods", ("a",))
    listed = ", ".join(f"sku AS {name}" for name in names)
    query = f"SELECT sku AS source_id, sku AS name, {listed} FROM goods"
    with pytest.raises(ConfigError, match=r"crm\.yaml: entities\.product.*" + LONG):
        load(warehouse, {"select": query, "pass_through": names})


@pytest.mark.fault("F40", how="a name of 70 letters in PostgreSQL, which cuts it off")
def test_f40_a_name_that_postgresql_has_cut_is_refused_with_what_it_gives(postgres, warehouse):
    postgres.create("goods", sku="key")
    query = f"SELECT sku AS source_id, sku AS name, sku AS {LONG} FROM goods"
    with pytest.raises(ConfigError, match=rf"crm\.yaml: .*{LONG}.*{LONG[:63]}"):
        load(warehouse, {"select": query, "pass_through": [LONG]})


@pytest.mark.fault("F40", how="keys that differ by case, accents and blanks only")
def test_f40_keys_that_differ_by_case_only_are_different_rows(goods, warehouse):
    keys = ["a", "A", "á", "Á", "a ", " a", "ß", "ss", "SS", "ä", "ae"]
    goods.add("goods", *((key, f"name of {key!r}", None, None) for key in keys))
    swept = {**GOODS, "deletes": "sweep"}
    assert load(warehouse, swept).inserted == len(keys)
    assert dict(landed(warehouse, "source_id, name")) == {k: f"name of {k!r}" for k in keys}
    again = load(warehouse, swept, run_id="r2")
    assert (again.inserted, again.updated, again.deleted, again.quarantined) == (0, 0, 0, 0)


@pytest.mark.fault("F40", how="two columns whose names differ by case only, in PostgreSQL")
def test_f40_columns_that_differ_by_case_only_stay_apart(postgres, warehouse):
    postgres.run("""CREATE TABLE goods (sku text, name text, "Name" text)""")
    postgres.add("goods", ("a", "small", "large"))
    query = 'SELECT sku AS source_id, name, "Name" FROM goods'
    load(warehouse, {"select": query, "pass_through": ["Name"]})
    assert landed(warehouse, "name, pass_through ->> 'Name'") == [("small", "large")]


def check_a_name_twice_is_refused(crm, warehouse, second: str) -> None:
    crm.create("goods", sku="key", title="text", kind="text")
    crm.add("goods", ("a", "Apple", "fruit"))
    query = f"SELECT sku AS source_id, title AS name, kind AS {second} FROM goods"
    with pytest.raises(ConfigError, match=r"(?i)crm\.yaml: .*name"):
        load(warehouse, {"select": query, "pass_through": [second] if second == "Name" else []})


@pytest.mark.fault("F40", how="a select that gives one name twice")
def test_f40_a_select_that_gives_a_name_twice_is_refused(crm, warehouse):
    check_a_name_twice_is_refused(crm, warehouse, "name")


@pytest.mark.fault("F40", how="a select whose names differ by case only, where they may not")
def test_f40_a_select_that_gives_a_name_twice_but_for_case_is_refused(not_postgres, warehouse):
    check_a_name_twice_is_refused(not_postgres, warehouse, "Name")


@pytest.mark.fault("F40", how="a comment, with or without a quote, ends the select")
def test_f40_a_select_may_end_in_a_comment(goods, warehouse):
    goods.add("goods", ("a", "Apple", "1", None))
    loaded = load(warehouse, {"select": GOODS["select"] + "  -- it's all; (really"})
    assert (loaded.read, loaded.inserted) == (1, 1)
