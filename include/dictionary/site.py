"""The documentation as pages that open from a disk: ``docs/``, and one page a table with lineage.

``make docs`` writes them. Every column links to what it comes from and what comes from it.
"""

import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Any

import yaml

from include import contracts, paths, sources
from include.contracts import Column, Table
from include.dictionary import lineage
from include.dictionary import tables as dictionary
from include.dictionary.drawing import around, draw
from include.dictionary.lineage import graph, layer
from include.dictionary.origins import Field
from include.errors import ConfigError
from include.paths import ROOT
from include.snapshot.schema import SCHEMA

DOCS = ROOT / "docs"
GUIDES = {  # in the order in which a newcomer reads them
    "names.md": "Names",
    "sources.md": "Add a source",
    "crms.md": "Shipped mappings",
    "snapshot.md": "Snapshot",
    "identity.md": "Identity",
    "profile.md": "Profile",
    "models.md": "Models",
    "day.md": "A day",
}
LAYERS = {
    "bi": ("BI views", "What BI reads, and nothing else."),
    "mart": ("Marts", dictionary.SCHEMAS["mart"]),
    "snapshot": ("Snapshot", "One moment of the warehouse as files, without personal data."),
    "core": ("Core", dictionary.SCHEMAS["core"]),
    "landing": ("Landing", "What the sources said, in our own words."),
    "ops": ("Operations", dictionary.SCHEMAS["ops"]),
    "source": ("Sources", "The tables of the CRMs that shipped mappings read."),
}


def build(target: Path | None = None) -> Path:
    """Write the pages into ``target`` (default: ``var/site``) and return the first one.

    What lay there goes only when all pages are made.
    """
    target = target or paths.home() / "site"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".site_") as scratch:
        pages = Path(scratch) / "docs"
        shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("*.py", "mkdocs.yml"))
        _render(Path(scratch), _write(pages))
        shutil.rmtree(target, ignore_errors=True)
        (Path(scratch) / "site").rename(target)
    return target / "index.html"


def _render(scratch: Path, navigation: list[Any]) -> None:
    """Make ``site`` of ``docs``, both in ``scratch``."""
    config = yaml.safe_load((DOCS / "site" / "mkdocs.yml").read_bytes())
    config |= {"docs_dir": "docs", "site_dir": "site", "nav": navigation}
    file = scratch / "mkdocs.yml"
    file.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "-f", str(file)]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode or not (scratch / "site" / "index.html").exists():
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise ConfigError(f"docs/: no pages: {said[-1]}; mend that, then run `make docs` again")
    (scratch / "site" / "404.html").unlink(missing_ok=True)  # only a server would show it


def _write(pages: Path) -> list[Any]:
    """Write the page of every table and the first one; return the navigation."""
    (pages / "tables").mkdir()
    whole = pages / "tables.md"  # says again what the pages say: it is read, not searched
    text = whole.read_text(encoding="utf-8")
    whole.write_text(f"---\nsearch:\n  exclude: true\n---\n{text}", encoding="utf-8")
    listed: dict[str, list[tuple[str, str]]] = {kind: [] for kind in LAYERS}
    for name, text in _pages():
        (pages / "tables" / f"{name}.md").write_text(text, encoding="utf-8")
        kind = name.partition(".")[0]
        listed[kind].append((name.partition(".")[2], f"tables/{name}.md"))
    (pages / "index.md").write_text(_first(), encoding="utf-8")
    guides: list[Any] = [{title: page} for page, title in GUIDES.items() if (DOCS / page).exists()]
    known = {*GUIDES, "tables.md", "index.md"}
    guides += [path.name for path in sorted(DOCS.glob("*.md")) if path.name not in known]
    decisions = [f"decisions/{path.name}" for path in sorted((DOCS / "decisions").glob("*.md"))]
    tables = [
        {title: [{label: page} for label, page in sorted(listed[kind])]}
        for kind, (title, _) in LAYERS.items()
    ]
    return [
        {"Start": "index.md"},
        tables[0],
        {"Behind them": tables[1:]},
        {"Guides": guides},
        {"Decisions": decisions},
    ]


def _pages() -> list[tuple[str, str]]:
    """Name and Markdown of each page: views, tables, a snapshot's files, sources."""
    found = []
    for table in contracts.all_tables():
        view = dictionary.view(table)
        if view:
            shown = [column for column in _in_order(table) if column.in_bi]
            found.append((view, _page(view, table, shown)))
        if table.storage != "view":
            found.append((table.full_name, _page(table.full_name, table, _in_order(table))))
    kept = {f"snapshot.{entity}": schema for entity, schema in SCHEMA.items()}
    for name, fields in kept.items():
        columns = [Column(field.name, str(field.type), "") for field in fields]
        found.append((name, _page(name, None, columns)))
    manifest, known = lineage.MANIFEST
    found.append((manifest, _page(manifest, None, [Column(known, "bool", "A source maps it.")])))
    return found + [(f"source.{name}", _source(name)) for name in sources.names()]


def _in_order(table: Table) -> list[Column]:
    """The columns with the generation, which nobody looks for, at the end."""
    brought = [column for column in table.columns if column not in table.own_columns]
    own = list(table.own_columns)
    return own + brought if table.storage == "generation" else brought + own


def _first() -> str:
    """What there is to read, and the whole way as one drawing."""
    edges = _without_sources()
    behind = {table: _past_views(table, edges) for table in edges if layer(table) != "bi"}
    drawn = {table for table, of in behind.items() if of}.union(*behind.values())
    every = {table: behind[table] for table in drawn}
    picture = draw(every, None, lambda table: f"tables/{_file(table)}")
    return "\n".join([
        "# Portrait",
        "",
        "Who your customers are, what they will do next and what to offer them: what each table "
        "and column says, and where it comes from. Press `/` and type the name of a column.",
        "",
        "## What BI reads",
        "",
        *_listed(metrics=False),
        "",
        "## Metrics",
        "",
        *_listed(metrics=True),
        "",
        "## From the sources to what is published",
        "",
        "Each box is a table and leads to its page; the views of BI stand right of the marts.",
        "",
        f'<div class="drawing wide">{picture}</div>',
    ])


def _past_views(table: str, edges: dict[str, frozenset[str]]) -> set[str]:
    """What a table comes from, where views of BI are only the way."""
    found: set[str] = set()
    for origin in edges.get(table, frozenset()):
        found |= _past_views(origin, edges) if layer(origin) == "bi" else {origin}
    return found - {table}


def _listed(*, metrics: bool) -> list[str]:
    views = [(dictionary.view(table), table) for table in contracts.all_tables()]
    rows = sorted(
        f"| [{view}](tables/{view}.md) | {_plain(table.grain)} | {_plain(table.description)} |"
        for view, table in views
        if view and view.startswith("bi.metric_") == metrics
    )
    return ["| view | one row | what it says |", "|---|---|---|", *rows]


def _page(name: str, table: Table | None, columns: list[Column]) -> str:
    """One table: what it is, where it comes from, its columns."""
    lines = [f"# {name}", ""]
    if table:
        lines += [table.description, "", dictionary.rows(table)]
        if (bi := dictionary.view(table)) and bi != name:
            lines[-1] += f" BI reads it as [{bi}]({bi}.md)."
    else:
        lines += [
            f"The file `{name.partition('.')[2]}` of a snapshot; see [Snapshot](../snapshot.md)."
        ]
    if made := lineage.made_by().get(name):
        lines += ["", f"Made by `{made.module}`."]
    edges = around(_edges(layer(name) == "landing"), name)
    if len(edges) > 1:
        drawn = draw(edges, name, _file)
        lines += ["", "## Where it comes from", "", f'<div class="drawing">{drawn}</div>']
    lines += ["", "## Columns", ""]
    for column in columns:
        lines += [f"### {column.name} {{ #{column.name} }}", "", _column(name, column, table), ""]
    if table and table.query:
        lines += ["", "## Query", "", "```sql", table.query.strip(), "```"]
    return "\n".join(lines)


def _column(table: str, column: Column, of: Table | None) -> str:
    """Type, meaning, rules and lineage of one column."""
    field = Field(table, column.name)
    said = dictionary.rules(column, bi=bool(of and dictionary.view(of)))
    up, down = (sorted(side.get(field, ()), key=str) for side in (graph().up, graph().down))
    meaning = f"<code>{escape(column.type)}</code> {_plain(column.description)}"
    parts = [f"<p>{meaning} <em>{_plain('; '.join(said))}</em></p>"]
    if up:
        parts.append(f"<p>Comes from {_links(up)}.</p>")
    if any(graph().up.get(origin) for origin in up):
        parts.append(
            '<details class="way" data-search-exclude>'
            f"<summary>All the way from the sources</summary>{_way(up, {field})}</details>"
        )
    if down:
        parts.append(f"<p>Goes into {_links(down)}.</p>")
    return f'<div class="column">{"".join(parts)}</div>'


def _way(origins: list[Field], told: set[Field]) -> str:
    """What is behind these columns, step by step; what stands there already is only named."""
    items, ends = [], []
    for origin in origins:
        behind = sorted(graph().up.get(origin, ()), key=str)
        if not behind:
            ends.append(origin)
        elif origin in told:
            items.append(f"<li>{_link(origin)} (see above)</li>")
        else:
            told.add(origin)
            items.append(f"<li>{_link(origin)}{_way(behind, told)}</li>")
    if ends:
        items.append(f"<li>{_links(ends)}</li>")
    return f"<ul>{''.join(items)}</ul>"


def _source(name: str) -> str:
    """The tables and columns of one CRM that its mapping reads."""
    columns: dict[str, dict[str, frozenset[Field]]] = {}
    for field, down in graph().down.items():
        if field.table.startswith(f"{name}:"):
            columns.setdefault(field.table, {})[field.column or ""] = down
    read = {f"landing.{entity}" for entity in sources.load(name).entities}
    edges = {
        table: {of for of in origins if of.startswith(f"{name}:")}
        for table, origins in graph().tables.items()
        if table in read
    }
    edges |= {table: set() for table in columns}
    lines = [
        f"# {name}", "",
        f"What `include/sources/{name}.yaml` reads, and what becomes of it.", "",
        f'<div class="drawing">{draw(edges, None, _file)}</div>',
    ]  # fmt: skip
    for table, of in sorted(columns.items()):
        short = table.partition(":")[2]
        lines += ["", f"## {short} {{ #{short} }}", "", "| column | goes into |", "|---|---|"]
        lines += [
            f"| {f'`{column}`' if column else 'any column'} | {_links(sorted(down, key=str))} |"
            for column, down in sorted(of.items())
        ]
    return "\n".join(lines)


def _edges(with_sources: bool) -> dict[str, frozenset[str]]:
    return dict(graph().tables) if with_sources else _without_sources()


def _without_sources() -> dict[str, frozenset[str]]:
    return {
        table: frozenset(of for of in origins if layer(of) != "source")
        for table, origins in graph().tables.items()
        if layer(table) != "source"
    }


def _file(table: str) -> str:
    """The page of a table, from another table's; a source's tables share one."""
    source, _, name = table.partition(":")
    return f"source.{source}.html#{name}" if name else f"{table}.html"


def _link(field: Field) -> str:
    page = _file(field.table)
    if field.column and "#" not in page:
        page += f"#{field.column}"
    return f'<a href="{escape(page)}">{escape(str(field))}</a>'


def _links(fields: list[Field]) -> str:
    return ", ".join(map(_link, fields))


def _plain(text: str) -> str:
    """A text of a contract as part of a page: nothing in it is markup, but for code."""
    parts = escape(text.replace("|", "\\|"), quote=False).split("`")
    return "".join(
        f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts)
    )


if __name__ == "__main__":
    dictionary.write()
    print(f"wrote {dictionary.FILE.relative_to(ROOT)}; open {build()}")
