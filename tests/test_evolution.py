"""A promise to readers is not broken unless a contract's version says so."""

from dataclasses import replace

import numpy as np
import pytest

from include import contracts, evolution
from include.contracts import Column, Table

SEGMENT = Table(
    "mart",
    "segment",
    "The segments.",
    "segment_key",
    "plain",
    "segment",
    None,
    "1.4.2",
    (
        Column("segment_key", "text", "Its key.", required=True, key=1),
        Column("name", "text", "Its name.", required=True),
        Column("customers", "bigint", "Customers in it."),
        Column("seed", "integer", "What it was drawn from.", in_bi=False),
    ),
)
KEY, NAME, CUSTOMERS, SEED = SEGMENT.columns
RAISE = (
    "or raise the version of contracts/mart/segment.yaml from 1.4.2 to 2.0.0 "
    "and say in CHANGELOG how readers move"
)
TAKE_OUT = "or take its entry out of contracts/released.json and say in CHANGELOG how readers move"

BREAKS = {
    "a column is removed": (
        {"columns": (KEY, CUSTOMERS, SEED)},
        "bi.segment.name: removed; keep it",
    ),
    "a column that BI does not see is removed": (
        {"columns": (KEY, NAME, CUSTOMERS)},
        "mart.segment.seed: removed; keep it",
    ),
    "a column is retyped": (
        {"columns": (KEY, NAME, replace(CUSTOMERS, type="integer"), SEED)},
        "bi.segment.customers: was bigint, is integer; add a column of another name",
    ),
    "a column is taken out of bi": (
        {"columns": (KEY, NAME, replace(CUSTOMERS, in_bi=False), SEED)},
        "bi.segment.customers: taken out of bi; show it",
    ),
    "a column may no longer be null": (
        {"columns": (KEY, NAME, replace(CUSTOMERS, required=True), SEED)},
        "bi.segment.customers: may no longer be null; leave it optional",
    ),
    "the key is another": (
        {"columns": (KEY, replace(NAME, key=2), CUSTOMERS, SEED)},
        "bi.segment: its key was (segment_key), is (segment_key, name); keep it",
    ),
    "the grain is another": (
        {"grain": "segment_key, country"},
        "bi.segment: one row was 'segment_key', is 'segment_key, country'; keep it",
    ),
    "the view is renamed": (
        {"bi_view": "group"},
        "bi.segment: now called bi.group; keep the name",
    ),
    "the view is taken away": (
        {"bi_view": None},
        "bi.segment: now called nothing; keep the name",
    ),
}
GROWS = {
    "a column is added": {"columns": (*SEGMENT.columns, Column("rule", "text", "Who.", True))},
    "a column may be null now": {
        "columns": (KEY, replace(NAME, required=False), CUSTOMERS, SEED),
    },
    "a column is shown in bi": {"columns": (KEY, NAME, CUSTOMERS, replace(SEED, in_bi=True))},
    "the version is raised": {"version": "1.5.0"},
}
CHANGES_NOTHING = {
    "a comment is another": {"description": "The segments in use."},
    "the columns stand in another order": {"columns": (CUSTOMERS, SEED, KEY, NAME)},
    "an index is added": {"indexes": (("name",),)},
}


def promised(*tables: Table) -> evolution.Promises:
    return evolution.promises(tables)


@pytest.mark.parametrize(("change", "finding"), BREAKS.values(), ids=BREAKS)
def test_what_breaks_a_reader_is_told_with_both_ways_out(change, finding):
    released = promised(SEGMENT)
    for version in ("1.4.2", "1.5.0"):
        now = promised(replace(SEGMENT, version=version, **change))
        assert evolution.broken(released, now) == [f"{finding}, {RAISE}"]
    now = promised(replace(SEGMENT, version="2.0.0", **change))
    assert evolution.broken(released, now) == []


@pytest.mark.parametrize("change", GROWS.values(), ids=GROWS)
def test_what_is_more_than_before_only_has_to_be_written_down(change):
    released, now = promised(SEGMENT), promised(replace(SEGMENT, **change))
    assert evolution.check(released, now) == [
        "contracts/released.json: not as the contracts say of mart.segment; run `make docs`"
    ]


@pytest.mark.parametrize("change", CHANGES_NOTHING.values(), ids=CHANGES_NOTHING)
def test_what_readers_do_not_rely_on_may_change_freely(change):
    assert evolution.check(promised(SEGMENT), promised(replace(SEGMENT, **change))) == []


def test_a_renamed_column_is_one_removed_and_one_added():
    renamed = replace(SEGMENT, columns=(KEY, replace(NAME, name="title"), CUSTOMERS, SEED))
    assert evolution.broken(promised(SEGMENT), promised(renamed)) == [
        f"bi.segment.name: removed; keep it, {RAISE}"
    ]


def test_a_table_without_a_contract_is_told_and_goes_by_hand():
    metric = replace(SEGMENT, schema="bi", name="metric_buyers", storage="view", bi_view=None)
    assert evolution.broken(promised(SEGMENT, metric), {}) == [
        f"bi.segment: removed; put it back, {TAKE_OUT}",
        f"bi.metric_buyers: removed; put it back, {TAKE_OUT}",
    ]
    shorter = replace(metric, columns=(KEY, CUSTOMERS, SEED))
    assert evolution.broken(promised(metric), promised(shorter)) == [
        f"bi.metric_buyers.name: removed; keep it, {TAKE_OUT}"
    ]


def test_a_history_is_released_with_the_contract_that_it_comes_from():
    profile = contracts.load("mart.customer_profile")
    history = contracts.profile_history(profile)
    shorter = replace(history, columns=history.columns[:-1])
    (finding,) = evolution.broken(promised(history), promised(shorter))
    assert f"raise the version of contracts/mart/customer_profile.yaml from {profile.version}" in (
        finding
    )


@pytest.mark.parametrize("version", ["1.4.1", "0.9.0", "next"])
def test_a_version_never_goes_back(version):
    assert evolution.broken(promised(SEGMENT), promised(replace(SEGMENT, version=version))) == [
        f"mart.segment: version {version} comes before the released 1.4.2; raise it"
    ]


def test_of_many_tables_that_are_new_three_are_named():
    tables = [replace(SEGMENT, name=f"t{number}", bi_view=None) for number in range(5)]
    assert evolution.check({}, promised(*tables)) == [
        "contracts/released.json: not as the contracts say of mart.t0, mart.t1, mart.t2 and 2 "
        "more; run `make docs`"
    ]


def random_table(random: np.random.Generator, number: int) -> Table:
    """A table that no rule was written for."""
    columns = tuple(
        Column(
            f"c{place}",
            str(random.choice(["text", "bigint", "date", "numeric(18,6)"])),
            "A column.",
            required=place == 0 or bool(random.integers(2)),
            key=1 if place == 0 else None,
            in_bi=bool(random.integers(2)),
        )
        for place in range(random.integers(1, 6))
    )
    view = str(random.choice(["", f"v{number}"])) or None
    return Table("mart", f"t{number}", "A table.", "c0", "plain", view, None, "3.1.0", columns)


def any_break(random: np.random.Generator, table: Table) -> Table:
    """The table, one promise broken."""
    place = random.integers(len(table.columns))
    column = table.columns[place]
    others = (*table.columns[:place], *table.columns[place + 1 :])
    ways = [
        replace(table, columns=others),
        replace(table, columns=(*others, replace(column, name=f"{column.name}_new"))),
        replace(table, columns=(*others, replace(column, type="jsonb"))),
        replace(table, columns=(*others, replace(column, key=None if column.key else 2))),
        replace(table, grain="another"),
    ]
    if table.bi_view:
        ways += [replace(table, bi_view=f"{table.bi_view}_new"), replace(table, bi_view=None)]
    return ways[random.integers(len(ways))]


@pytest.mark.parametrize("seed", range(30))
def test_no_break_of_any_table_is_hidden_by_releasing_again(seed, tmp_path, monkeypatch, capsys):
    random = np.random.default_rng(seed)
    *rest, victim = (random_table(random, number) for number in range(3))
    file = tmp_path / "released.json"
    assert released([*rest, victim], file, monkeypatch) == 0
    before, broken = file.read_bytes(), any_break(random, victim)
    assert released([*rest, broken], file, monkeypatch) == 1
    assert file.read_bytes() == before
    told = capsys.readouterr().out.splitlines()
    assert told
    assert all("t2" in line or "v2" in line for line in told)
    raised = replace(broken, version="4.0.0")
    assert released([*rest, raised], file, monkeypatch) == 0
    assert evolution.read(file) == promised(*rest, raised)
    assert capsys.readouterr().out == ""


def released(tables: list[Table], file, monkeypatch) -> int:
    """The exit status of `python -m include.evolution release` on these contracts."""
    monkeypatch.setattr(contracts, "all_tables", lambda: tuple(tables))
    return evolution.main("release", file)


def test_the_file_has_a_line_a_column():
    assert evolution.written(promised(SEGMENT)) == (
        "{\n"
        '  "mart.segment": {"version": "1.4.2", "view": "bi.segment", "grain": "segment_key", '
        '"columns": {\n'
        '    "segment_key": {"type": "text", "key": 1, "required": true, "bi": true},\n'
        '    "name": {"type": "text", "required": true, "bi": true},\n'
        '    "customers": {"type": "bigint", "bi": true},\n'
        '    "seed": {"type": "integer"}\n'
        "  }}\n"
        "}\n"
    )
