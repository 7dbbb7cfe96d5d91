"""Every mapping that is shipped: it can be read, only reads, and gives nothing by a wrong name."""

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from include import contracts, sources
from include.sources import SoftDelete

DIALECTS = {
    "chinook": "postgres",
    "espocrm": "mysql",
    "northwind": "postgres",
    "odoo": "postgres",
    "shop": "postgres",
    "suitecrm": "mysql",
    "support": "sqlite",
    "vtiger": "mysql",
    "woocommerce": "mysql",
}
PAGE = (Path(__file__).parents[2] / "docs" / "crms.md").read_text()


def trees(name: str) -> dict[str, exp.Query]:
    """Entity -> its parsed query."""
    return {
        entity: sqlglot.parse_one(mapped.select, read=DIALECTS[name])
        for entity, mapped in sources.load(name).entities.items()
    }


def test_every_mapping_has_a_dialect_here():
    assert sources.names() == sorted(DIALECTS)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_mapping_only_reads(name):
    sources.check_read_only(sources.load(name), DIALECTS[name])


@pytest.mark.parametrize("name", DIALECTS)
def test_every_column_given_is_asked_for(name):
    for entity, tree in trees(name).items():
        mapped = sources.load(name).entities[entity]
        known = {column.name for column in contracts.load(f"landing.{entity}").own_columns}
        known |= {"source_id", mapped.cursor, *mapped.pass_through}
        if isinstance(mapped.deletes, SoftDelete):
            known.add(mapped.deletes.column)
        given = tree.named_selects
        assert len(given) == len(set(given)), f"{name}.{entity}"
        assert set(given) - known == set(), f"{name}.{entity}"


@pytest.mark.parametrize("name", sorted(DIALECTS.keys() - {"shop", "support"}))
def test_the_page_names_the_tables_that_the_account_must_read_and_the_entities(name):
    found = trees(name)
    read, own = set(), set()
    for tree in found.values():
        own |= {part.alias for part in tree.find_all(exp.CTE)}
        read |= {table.name for table in tree.find_all(exp.Table)}
    rows = re.findall(rf"^\| `{name}` \| (.*) \|$", PAGE, re.MULTILINE)
    entities, tables = rows[0].split(" | ")[2].split(", "), re.findall(r"`(\w+)`", rows[1])
    assert sorted(tables) == sorted(read - own - {""})
    assert entities == list(found)
