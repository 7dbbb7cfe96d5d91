"""The pages open from a disk, every link leads somewhere, and columns show where they come from."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from include import contracts
from include.dictionary import site
from include.dictionary.tables import view


class Page(HTMLParser):
    """The ids of a page, its links and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.links, self.loads = set(), set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given.get("id"), given.get("name")}
        if tag == "a" and given.get("href"):
            self.links.add(given["href"])
        elif tag in {"script", "link", "img", "iframe"}:
            self.loads.add(given.get("src") or given.get("href"))


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> dict[Path, Page]:
    first = site.build(tmp_path_factory.mktemp("home") / "site")
    return {path: Page(path) for path in first.parent.rglob("*.html")}


def page(pages: dict[Path, Page], name: str) -> Path:
    return next(path for path in pages if path.as_posix().endswith(f"site/{name}"))


def section(path: Path, column: str) -> str:
    """What a table's page says of one column."""
    return re.split(r"<h3", path.read_text().partition(f'<h3 id="{column}"')[2])[0]


def test_no_link_is_dead_and_nothing_is_loaded_from_elsewhere(pages):
    for path, found in pages.items():
        for link in filter(None, found.links | found.loads):
            if link.startswith(("http://", "https://", "javascript:", "data:")):
                assert link not in found.loads, f"{path.name} loads {link}"
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.name}: {link}"
            if anchor and target in pages:
                assert anchor in pages[target].ids, f"{path.name}: {link}"


def test_the_search_works_without_a_server(pages):
    first = page(pages, "index.html")
    assert "./site/iframe-worker.js" in pages[first].loads
    index = (first.parent / "search.js").read_text()
    assert "tables/bi.dim_customer.html#recency_days" in index
    assert "tables.html#" not in index


@pytest.mark.parametrize(
    ("table", "column", "links"),
    [
        (
            "bi.dim_customer",
            "recency_days",
            [
                "mart.dim_customer.html#recency_days",
                "mart.customer_profile.html#last_order_at",
                "snapshot.order_line.html#ordered_at",
                "landing.order_line.html#ordered_at",
                "source.shop.html#order_lines",
            ],
        ),
        (
            "mart.customer_profile",
            "top_category",
            ["snapshot.product.html#category", "bi.customer_profile.html#top_category"],
        ),
        (
            "landing.product",
            "price",
            ["source.northwind.html#products", "snapshot.product.html#price"],
        ),
    ],
)
def test_a_column_links_to_what_it_comes_from_and_goes_into(pages, table, column, links):
    said = section(page(pages, f"tables/{table}.html"), column)
    for link in links:
        assert f'href="{link}"' in said


def test_every_view_and_table_has_a_page_with_its_columns_and_their_units(pages):
    for table in contracts.all_tables():
        for name in {view(table), None if table.storage == "view" else table.full_name} - {None}:
            path = page(pages, f"tables/{name}.html")
            shown = {column.name for column in table.columns if column.in_bi or name[:2] != "bi"}
            assert shown <= pages[path].ids, name
    said = section(page(pages, "tables/bi.customer_profile.html"), "recency_days")
    assert "unit: days" in said
    assert "formula: as_of - day of the last order with a positive line" in said


def test_a_table_is_drawn_among_its_neighbours(pages):
    text = page(pages, "tables/mart.segment.html").read_text()
    drawn = re.search(r'<svg class="lineage".*?</svg>', text)[0]
    boxes = re.findall(r"<text[^>]*>([^<]*)<", drawn)
    assert {"mart.customer_profile", "ops.model_version", "mart.segment", "bi.segment"} <= set(
        boxes
    )
    assert 'href="mart.segment.html" class="mart focus"' in drawn


def test_building_again_leaves_the_same_pages_and_nothing_else(tmp_path):
    old = tmp_path / "site" / "gone.html"
    old.parent.mkdir()
    old.write_text("of an earlier build")
    assert site.build(tmp_path / "site") == tmp_path / "site" / "index.html"
    assert not old.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
