"""Where each column comes from: from a source's table over landing and snapshot to a BI view.

Read from the queries themselves, by sqlglot: a mapping's SELECT, ``snapshot/*.sql``,
``profile/*.sql``, ``marts/*.sql``, the queries of contracts and metrics. What a query does not tell
is told of the table as a whole; what Python makes stands in ``made_by``. Nothing is guessed.
"""

import os
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property

from include import audiences, connections, contracts, marts, metrics, profile, snapshot, sources
from include.dictionary.origins import Field, Names, origins, tables
from include.marts.history import HISTORIES
from include.snapshot.schema import SCHEMA

# sqlglot knows another way to write it
COLUMNS_BUT, QUOTE = re.compile(r"COLUMNS\(lambda (\w+): \1 NOT IN \(([^)]*)\)\)"), "'"
LAYERS = ("source", "landing", "core", "snapshot", "mart", "ops", "bi")
ANY_DAY = date(2000, 1, 1)
PROFILE = "mart.customer_profile"
MANIFEST = "snapshot.manifest", "consent_mapped"  # the one thing beside the entities that is read
DIALECTS = {  # of the shipped mappings that are not of PostgreSQL
    "espocrm": "mysql", "suitecrm": "mysql", "vtiger": "mysql", "woocommerce": "mysql",
    "support": "sqlite",
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A table whose rows Python makes: where, and of which tables."""

    module: str
    of: tuple[str, ...]


LISTS = tuple(f"snapshot.{name}" for name in ("customer", "product", "order_line", "consent"))
MODEL, TRAINING = "ops.model_version", (PROFILE, "snapshot.order_line")


@cache
def made_by() -> dict[str, Made]:
    """Every table of which no query of ours tells, and that is no copy of another one."""
    audience = Made("include/marts/audiences.py", _asked_by_audiences())
    kpis = tuple(f"bi.metric_{metric.name}" for metric in metrics.load() if not metric.grain)
    return {
        "core.identity": Made("include/identity/__init__.py", ("landing.customer",)),
        "mart.profile_coverage": Made("include/models/drift.py", (PROFILE, MODEL)),
        "mart.customer_score": Made("include/models/score.py", (PROFILE, MODEL)),
        "mart.customer_segment": Made("include/models/assign.py", (PROFILE, MODEL)),
        "mart.segment": Made("include/models/assign.py", (PROFILE, MODEL)),
        "mart.segment_feature": Made("include/models/assign.py", (PROFILE, MODEL)),
        "mart.segment_map": Made("include/models/assign.py", (PROFILE, MODEL)),
        "mart.rule_segment": Made(
            "include/models/rule_segments.py", (PROFILE, "mart.customer_segment")
        ),
        "mart.rule_segment_member": Made(
            "include/models/rule_segments.py", (PROFILE, "mart.customer_segment")
        ),
        "mart.customer_value": Made("include/models/value/publish.py", (PROFILE,)),
        "mart.recommendation": Made("include/recommend/__init__.py", (*LISTS, MODEL)),
        "mart.product_similarity": Made("include/recommend/__init__.py", LISTS),
        "mart.product_audience": Made("include/recommend/prospects.py", (*LISTS, MODEL)),
        "mart.bundle": Made("include/recommend/bundles.py", LISTS),
        "mart.audience": audience,
        "mart.audience_member": audience,
        "mart.lift": Made(
            "include/marts/lift.py", ("mart.audience_member_history", "snapshot.order_line")
        ),
        "mart.kpi_history": Made("include/marts/history.py", kpis),
        "mart.segment_history": Made("include/marts/history.py", ("bi.segment", "bi.dim_customer")),
        "ops.model_version": Made("include/models/train.py", TRAINING),
        "ops.model_metric": Made("include/models/train.py", TRAINING),
        "ops.model_readiness": Made("include/models/train.py", TRAINING),
        "ops.segment_curve": Made("include/models/segments.py", (PROFILE,)),
        "ops.score_log": Made("include/models/outcome.py", ("mart.customer_score",)),
        "ops.score_outcome": Made("include/models/outcome.py", ("ops.score_log", *TRAINING)),
    }


def _asked_by_audiences() -> tuple[str, ...]:
    read = [
        tables(audiences.picked(audience.rule), "postgres", Names())
        for audience in audiences.load()
    ]
    return tuple(sorted({"bi.customer_profile"}.union(*read)))  # whose staff is left out


@dataclass(frozen=True)
class Graph:
    """``up``: of every column that is known, what it directly comes from; empty: a constant."""

    up: Mapping[Field, frozenset[Field]]

    @cached_property
    def down(self) -> dict[Field, frozenset[Field]]:
        """Of every column, those that directly come from it."""
        found: dict[Field, set[Field]] = {}
        for target, of in self.up.items():
            for origin in of:
                found.setdefault(origin, set()).add(target)
        return {field: frozenset(targets) for field, targets in found.items()}

    @cached_property
    def tables(self) -> dict[str, frozenset[str]]:
        """Of every table, those that its columns come from."""
        found: dict[str, set[str]] = {}
        for target, of in self.up.items():
            found.setdefault(target.table, set()).update(origin.table for origin in of)
            for origin in of:
                found.setdefault(origin.table, set())
        return {table: frozenset(of - {table}) for table, of in found.items()}


def layer(table: str) -> str:
    """The stage that a table belongs to: one of LAYERS."""
    return "source" if ":" in table else table.partition(".")[0]


@cache
def graph() -> Graph:
    """The lineage of everything there is."""
    up: dict[Field, frozenset[Field]] = {}
    for part in (_landing(), _snapshot(), _profile(), _marts(), _histories(), _views()):
        for field, of in part:
            up[field] = up.get(field, frozenset()) | of - {field}
    for field, of in _made():
        up[field] = up.get(field) or of
    return Graph(up)


Part = Iterator[tuple[Field, frozenset[Field]]]


def _landing() -> Part:
    """Every entity of every mapping: its aliases are our columns."""
    for name in sources.names():
        source = sources.load(name)
        dialect = DIALECTS.get(name) or _dialect(source)
        for entity, read in source.entities.items():
            table = contracts.load(f"landing.{entity}")
            found = origins(read.select, dialect, Names(source=name))
            named = {column.name: column.name for column in table.columns} | {
                "changed_at": read.cursor,
                "deleted_at": getattr(read.deletes, "column", None),
            }
            for column, alias in named.items():
                if alias in found:
                    yield Field(table.full_name, column), found[alias]


def _dialect(source: sources.Source) -> str:
    """That of the database where it is connected; PostgreSQL otherwise."""
    if connections.variable(source.connection) not in os.environ:
        return "postgres"
    spoken = connections.address(source.connection).dialect
    return {"sqlserver": "tsql"}.get(spoken, spoken)


def _snapshot() -> Part:
    """``snapshot/<entity>.sql``; days and hours follow from the time of that name."""
    for entity, schema in SCHEMA.items():
        query = (snapshot.HERE / f"{entity}.sql").read_text(encoding="utf-8")
        found = origins(re.sub(r"\{\w+\}", "NULL", query), "postgres", _warehouse())
        for column in schema.names:
            stem, _, kind = column.rpartition("_")
            given = column if column in found or kind not in {"on", "hour"} else f"{stem}_at"
            yield Field(f"snapshot.{entity}", column), found[given]
    yield Field(*MANIFEST), frozenset({Field("landing.consent")})  # whether any consent is known


def _profile() -> Part:
    """The themes over the snapshot, and what compares customers over the facts of the themes."""
    facts = {"customer_id"}
    for theme in profile.THEMES:
        found = origins(profile.sql(theme, ANY_DAY), "duckdb", _files())
        facts |= found.keys()
        yield from _of(PROFILE, found)
    names = Names({"facts": sorted(facts)}, {"facts": PROFILE})
    found = origins(profile.text(profile.LAST, ANY_DAY), "duckdb", names)
    yield from _of(PROFILE, {name: of for name, of in found.items() if name != "customer_id"})


def _marts() -> Part:
    """``marts/<table>.sql``; a file of the same publish is the mart that is made of it."""
    own = {
        name: [c.name for c in contracts.load(f"mart.{name}").own_columns] for name in marts.MARTS
    }
    called = {name: f"mart.{name}" for name in own} | {"previous_segment": "mart.customer_segment"}
    previous = {"previous_segment": ["customer_id", "segment_key", "since"]}
    files = _files()
    for name in marts.MARTS:
        path = marts.HERE / f"{name}.sql"
        if path.exists():
            query = path.read_text(encoding="utf-8").replace("{as_of}", f"DATE '{ANY_DAY}'")
            query = COLUMNS_BUT.sub(
                lambda found: f"* EXCLUDE ({found[2].replace(QUOTE, '')})", query
            )
            names = Names({**files.columns, **own, **previous}, {**files.called, **called})
            yield from _of(f"mart.{name}", origins(query, "duckdb", names))


def _made() -> Part:
    """What Python makes, of tables as a whole: the columns of which no query tells."""
    for name, made in made_by().items():
        of = frozenset(map(Field, made.of))
        yield Field(name), of
        for column in contracts.load(name).own_columns:
            yield Field(name, column.name), of


def _histories() -> Part:
    """What is kept of each published day, by the same names."""
    known = {table.full_name: table for table in contracts.all_tables()}
    for name in HISTORIES:
        kept, own = known[f"mart.{name}_history"], known[f"mart.{name}"].columns
        same = {column.name for column in kept.columns} & {column.name for column in own}
        yield from _of(kept.full_name, {column: {Field(f"mart.{name}", column)} for column in same})


def _views() -> Part:
    """Views over one table, by the same names, and those with a query of their own."""
    for table in contracts.all_tables():
        view = f"bi.{table.bi_view or table.name}"
        shown = [column.name for column in table.columns if column.in_bi]
        if table.query:
            found = origins(table.query, "postgres", _warehouse())
            yield from _of(view, {name: found.get(name, found.get("*")) for name in shown})
        elif table.bi_view:
            yield from _of(view, {name: {Field(table.full_name, name)} for name in shown})


def _of(table: str, found: Mapping[str, Set[Field] | None]) -> Part:
    for column, of in found.items():
        yield Field(table, column), frozenset(of or ())


def _names(table: str) -> list[str]:
    return [column.name for column in contracts.load(table).columns]


@cache
def _files() -> Names:
    """A snapshot's tables, which its SQL calls by the names of the entities."""
    columns = {name: schema.names for name, schema in SCHEMA.items()}
    columns["manifest"] = [MANIFEST[1]]
    return Names(columns, {name: f"snapshot.{name}" for name in columns})


@cache
def _warehouse() -> Names:
    """Every table and view of the warehouse."""
    found = {}
    for table in contracts.all_tables():
        found[table.full_name] = [column.name for column in table.columns]
        if table.bi_view:
            found[f"bi.{table.bi_view}"] = [c.name for c in table.columns if c.in_bi]
    return Names(found)
