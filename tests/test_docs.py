"""The documentation says what is so: links, commands, views, SQL, the dictionary, the example."""

import re
import sqlite3
from pathlib import Path

import psycopg
import pytest
import yaml

from include import contracts, landing, sources
from include.dictionary import tables as dictionary
from include.warehouse import view_columns

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [page for page in PAGES if page != dictionary.FILE]  # by hand
MAKEFILE = (ROOT / "Makefile").read_text()
README = (ROOT / "README.md").read_text()
EXAMPLE = (ROOT / "docs" / "sources.md").read_text()


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def code(text: str) -> list[str]:
    """Everything set as code, by line, without comments."""
    fenced = [line for block in blocks(text, "[a-z]*") for line in block.splitlines()]
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", rest)
    indented = re.findall(r"^    (\S.*)$", rest, re.MULTILINE)
    return [line.split("  #")[0].split(" # ")[0] for line in [*fenced, *spans, *indented]]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith(("http://", "https://")):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), f"{name(page)}: {link}"
            assert not anchor or anchor in anchors(target), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_is_a_target_with_the_variables_it_takes(page):
    targets = set(" ".join(re.findall(r"^([a-z -]+):", MAKEFILE, re.MULTILINE)).split())
    taken = set(re.search(r"^export (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    for line in code(page.read_text()):
        for target, rest in re.findall(r"\bmake ([a-z][a-z-]*)([^;`)]*)", line):
            assert target in targets, f"{name(page)}: make {target}"
            for variable in re.findall(r"\b([A-Z_]+)=", rest):
                assert variable in taken, f"{name(page)}: make {target} {variable}="


def test_the_readme_names_every_target():
    targets = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    named = {target for line in code(README) for target in re.findall(r"\bmake ([a-z-]+)", line)}
    assert targets - named == set()


VIEWS = {
    f"{table.bi_view or table.name}": [column.name for column in view_columns(table)]
    for table in contracts.all_tables()
    if table.bi_view or table.storage == "view"
}


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_every_view_and_column_named_exists(page):
    for view, column in re.findall(r"(?<![/\w])bi\.([a-z_]+)(?:\.([a-z_]+))?", page.read_text()):
        assert view in VIEWS, f"{name(page)}: bi.{view}"
        assert not column or column in VIEWS[view], f"{name(page)}: bi.{view}.{column}"


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_every_file_named_exists(page):
    made_by_the_example = {"include/sources/bikes.yaml"}
    for line in code(page.read_text()):
        for path in re.findall(r"\b(?:include|dags|plugins|tests|bench|docs)/[\w./<>*-]*", line):
            if "<" not in path and path not in made_by_the_example:
                assert (ROOT / path).exists(), f"{name(page)}: {path}"


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_every_setting_named_is_read_somewhere(page):
    read = "".join(
        path.read_text()
        for folder in ("include", "dags", "plugins")
        for path in (ROOT / folder).rglob("*.py")
    )
    unread = set(re.findall(r"\bPORTRAIT_[A-Z_]+\b", page.read_text()))
    unread -= set(re.findall(r"\bPORTRAIT_[A-Z_]+\b", read))
    assert not unread, f"{name(page)}: {unread}"


@pytest.mark.parametrize("query", blocks(README, "sql"))
def test_every_query_of_the_readme_runs_as_bi_runs_it(query, warehouse):
    warehouse.execute("SET ROLE bi_reader")
    assert warehouse.execute(query).fetchall() == []


def test_the_dictionary_is_up_to_date():
    assert dictionary.FILE.read_text() == dictionary.dictionary(), "run `make docs`"


def test_the_dictionary_names_every_column():
    page = dictionary.dictionary()
    for table in contracts.all_tables():
        section = page.partition(f"### {table.full_name}\n")[2].partition("\n#")[0]
        for column in table.own_columns:
            assert f"| `{column.name}` | {column.type} |" in section, table.full_name


def test_the_dictionary_says_what_tables_and_features_come_from():
    page = dictionary.dictionary()
    profile = page.partition("### mart.customer_profile\n")[2].partition("\n#")[0]
    rules = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", profile, re.MULTILINE))
    assert rules["recency_days"].endswith("; from last_order_at")
    assert rules["revenue"].endswith("; from order_line (amount)")
    segment = page.partition("### mart.segment\n")[2].partition("\n#")[0]
    assert "Comes from `mart.customer_profile`, `ops.model_version`." in segment


@pytest.mark.parametrize("query", blocks((ROOT / "docs" / "models.md").read_text(), "sql"))
def test_every_query_on_models_runs_as_bi_runs_it(query, warehouse):
    warehouse.execute("SET ROLE bi_reader")
    assert warehouse.execute(query).fetchall() == []


@pytest.mark.parametrize("path", sorted(contracts.HERE.glob("*/*.yaml")), ids=name)
def test_every_contract_keeps_to_the_standard(path):
    from open_data_contract_standard.model import OpenDataContractStandard

    contract = OpenDataContractStandard.from_file(str(path))
    assert (contract.apiVersion, contract.id) == ("v3.1.0", f"{path.parent.name}.{path.stem}")


def test_every_dependency_says_why_it_is_there():
    listed = (ROOT / "requirements.in").read_text()
    needed = set(re.findall(r"^([a-z][\w-]*)", listed, re.MULTILINE))
    page = (ROOT / "docs" / "decisions" / "0010-dependencies.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert set(re.findall(r"`([\w-]+)`", " ".join(rows))) == needed


def test_every_decision_is_in_the_list():
    folder = ROOT / "docs" / "decisions"
    there = {path.name for path in folder.glob("[0-9]*.md")}
    assert set(re.findall(r"\]\((\d{4}[^)]*)\)", (folder / "README.md").read_text())) == there
    for path in there:
        text = (folder / path).read_text()
        for part in ("**Context.**", "**Decision.**", "**Consequence.**"):
            assert part in text, f"{path}: {part}"


def test_every_name_means_one_thing():
    page = (ROOT / "docs" / "names.md").read_text()
    names = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
    terms = [term for term in names if term not in {"word", "---"}]
    assert sorted(terms) == sorted(set(terms))


# The example of docs/sources.md


@pytest.fixture
def bikes(tmp_path, monkeypatch):
    """The example's mapping, its database made and its connection set."""
    till = tmp_path / "bikes.sqlite"
    with sqlite3.connect(till) as db:
        db.executescript(blocks(EXAMPLE, "sql")[0])
    (tmp_path / "bikes.yaml").write_text(blocks(EXAMPLE, "yaml")[0])
    monkeypatch.setenv("AIRFLOW_CONN_BIKES", f"sqlite:///{till}")
    return sources.load("bikes", tmp_path)


def told(heading: str) -> list[tuple[str, ...]]:
    """The rows of the example's table with these columns."""
    rows = EXAMPLE.partition(f"| {heading} |\n")[2].split("\n\n")[0].splitlines()[1:]
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]


def test_the_example_lands_as_its_page_says(bikes, warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        found = {e: landing.load(bikes, e, db, run_id="first") for e in bikes.entities}
        assert [
            (entity, str(done.read), str(done.inserted), str(done.quarantined))
            for entity, done in found.items()
        ] == told("entity | rows_in | rows_inserted | rows_quarantined")
        assert db.execute(
            'SELECT entity, "check", "column", reason FROM bi.quarantine'
        ).fetchall() == told("entity | check | column | reason")
        assert db.execute(
            """SELECT source_id, person_key, pass_through ->> 'tier', deleted_at IS NOT NULL
               FROM landing.customer ORDER BY source_id"""
        ).fetchall() == [
            ("1", "member:M-17", "gold", False),
            ("2", None, "basic", False),
            ("3", None, "basic", True),
        ]
        again = [landing.load(bikes, entity, db, run_id="again") for entity in bikes.entities]
        assert sum(done.inserted + done.updated + done.deleted for done in again) == 0


def test_the_page_on_sources_names_every_key_of_a_mapping():
    keys = set(re.findall(r"^\| `(\w+)` \|", EXAMPLE, re.MULTILINE))
    assert keys == {*sources.Source.model_fields, *sources.Entity.model_fields} - {"name"}


def test_the_shipped_mappings_say_when_they_run_as_the_timetable_does():
    day = (ROOT / "docs" / "day.md").read_text()
    for source in ("shop", "support"):
        schedule = yaml.safe_load((sources.HERE / f"{source}.yaml").read_text())["schedule"]
        minute, hour, *_ = schedule.split()
        assert f"{int(hour):02}:{int(minute):02} for `shop` and `support`" in day
