"""The dictionary of the tables, ``docs/tables.md``, written from the contracts: ``make docs``.

The same as pages with every column's way from the sources is made beside it, by ``site``.
"""

from collections.abc import Iterable
from pathlib import Path

from include import contracts
from include.contracts import Column, Table
from include.dictionary import lineage
from include.dictionary.origins import Field
from include.paths import ROOT

FILE = ROOT / "docs" / "tables.md"
HEAD = """# Tables

Written by `make docs` from `include/contracts/`; a test says when it is out of date. Change a
contract, never this page. The same words stand in the database as comments: `\\d+ bi.segment`.

BI reads the views of `bi` and nothing else; the other schemas are the pipeline's own. What each
column comes from, down to the column of your CRM, is in the pages that `make docs` builds.
"""
SCHEMAS = {
    "mart": "What is published: one generation at a time, all tables together.",
    "bi": "Views that are more than a selection of one table.",
    "core": "Which records are one person.",
    "ops": "Runs, loads, quarantine, quality and models.",
    "landing": "What the sources said, in our own words. Each table has a `<table>_history` beside "
    "it with the versions that were replaced (`valid_from`, `valid_to`: when they were landed).",
}
BROUGHT = {
    "generation": "Each table of `mart` also has",
    "source": "Each table of `landing` also has",
}


def dictionary() -> str:
    """The page as Markdown: an index of the views, then every table with its columns."""
    tables = contracts.all_tables()
    parts = [HEAD, "## What BI reads", _index(table for table in tables if view(table))]
    for schema, purpose in SCHEMAS.items():
        parts += [f"## {schema}", purpose]
        for storage, words in BROUGHT.items():
            if any(table.schema == schema and table.storage == storage for table in tables):
                parts += [f"{words}:", _columns(contracts.BROUGHT[storage])]
        parts += [_section(table) for table in tables if table.schema == schema]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def write(file: Path = FILE) -> None:
    """Write the page."""
    file.write_text(dictionary(), encoding="utf-8")


def view(table: Table) -> str | None:
    """The view that BI reads the table by, if any."""
    if table.storage == "view":
        return f"bi.{table.name}"
    return f"bi.{table.bi_view}" if table.bi_view else None


def _index(tables: Iterable[Table]) -> str:
    rows = sorted(
        f"| [`{view(table)}`](#{_anchor(table)}) | {_cell(table.grain)} "
        f"| {_cell(table.description)} |"
        for table in tables
    )
    return "\n".join(["| view | one row | what it says |", "|---|---|---|", *rows])


def _anchor(table: Table) -> str:
    return table.full_name.replace(".", "")


def _section(table: Table) -> str:
    """One table: what it is, how BI reads it, its columns."""
    lines = [f"### {table.full_name}", "", table.description, "", rows(table)]
    if (bi := view(table)) and bi != table.full_name:
        lines[-1] += f" BI reads it as `{bi}`."
    if of := lineage.graph().tables.get(table.full_name):
        lines[-1] += f" {_of(of)}"
    of_columns = table.full_name if table.full_name == lineage.PROFILE else None
    return "\n".join([*lines, "", _columns(table.own_columns, bi=bi is not None, of=of_columns)])


def rows(table: Table) -> str:
    """What one row of a table is."""
    return "It has one row." if table.grain == "one row" else f"One row: {table.grain}."


def _of(tables: Iterable[str]) -> str:
    """What a table comes from; of sources only how many, which the pages tell by name."""
    known = {table for table in tables if lineage.layer(table) != "source"}
    mapped = {table.partition(":")[0] for table in set(tables) - known}
    named = [f"`{table}`" for table in sorted(known)]
    named += [f"{len(mapped)} of the mappings in `include/sources/`"] if mapped else []
    return f"Comes from {', '.join(named)}."


def _columns(columns: Iterable[Column], *, bi: bool = False, of: str | None = None) -> str:
    """The columns as a table; ``of`` a table, each with what it is made of."""
    lines = []
    for column in columns:
        said = rules(column, bi=bi)
        if of and (made := _made_of(Field(of, column.name))):
            said.append(f"from {made}")
        lines.append(
            f"| `{column.name}` | {column.type} | {_cell(column.description)} "
            f"| {_cell('; '.join(said))} |"
        )
    return "\n".join(["| column | type | meaning | rules |", "|---|---|---|---|", *lines])


def _made_of(field: Field) -> str:
    """``order_line (ordered_at, quantity)``, or the columns beside it."""
    found: dict[str, list[str]] = {}
    for origin in sorted(lineage.graph().up.get(field, ()), key=str):
        found.setdefault(origin.table, []).append(origin.column or "all rows")
    beside = found.pop(field.table, [])
    named = [f"{table.partition('.')[2]} ({', '.join(of)})" for table, of in found.items()]
    return ", ".join(beside + named)


def rules(column: Column, *, bi: bool) -> list[str]:
    """What the contract says beyond the meaning, in words."""
    low, high = (
        None if bound is None else f"{bound:g}" for bound in (column.minimum, column.maximum)
    )
    bounds = {
        (True, True): f"{low} to {high}",
        (True, False): f"at least {low}",
        (False, True): f"at most {high}",
        (False, False): None,
    }[low is not None, high is not None]
    said = [
        "key" if column.key is not None else "never null" if column.required else None,
        f"unit: {column.unit}" if column.unit else None,
        f"formula: {column.formula}" if column.formula else None,
        bounds,
        f"one of {', '.join(column.values)}" if column.values else None,
        f"default {column.default}" if column.default else None,
        _missing(column.missing),
        "not in bi" if bi and not column.in_bi else None,
    ]
    return [rule for rule in said if rule]


MISSING = {
    "zero": "a missing value is 0",
    "mean": "a missing value becomes the mean",
    "median": "a missing value becomes the median",
    "interpolated": "a missing value is interpolated",
    "leave_out": "a row without it is not learnt from",
    "null": "not used",
}


def _missing(rule: str | None) -> str | None:
    """What models do about a missing value: ``median by price_band`` in words."""
    kind, _, by = (rule or "").partition(" by ")
    if kind not in MISSING:
        return None
    beside = {"median": f" of its {by}", "interpolated": f" along {by}"}.get(kind, "") if by else ""
    return f"models: {MISSING[kind]}{beside}"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")
