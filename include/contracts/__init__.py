"""The tables, each written once: ``<schema>/<table>.yaml`` in the Open Data Contract Standard 3.1.

From a contract come the DDL and the comments (``warehouse.deploy``), the row rules of a load
(``landing``), the table rules (``quality``), the dictionary ``docs/tables.md`` and the BI view.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from include import metrics
from include.errors import ConfigError

HERE = Path(__file__).parent
SCHEMAS = ("landing", "core", "mart", "ops", "bi")  # in the order of deployment; bi holds views

Storage = Literal["plain", "source", "generation", "view"]


@dataclass(frozen=True)
class Column:
    """One column: PostgreSQL type, meaning, and the rules that a row must keep."""

    name: str
    type: str
    description: str
    required: bool = False
    key: int | None = None  # position in the primary key, from 1
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None
    unit: str | None = None
    formula: str | None = None
    missing: str | None = None
    default: str | None = None
    in_history: bool = True  # false where the calendar alone moves it, day by day
    in_bi: bool = True
    collation: str | None = None
    sensitive: bool = False  # no feature of a model unless the domain says why


@dataclass(frozen=True)
class Table:
    """One table; ``columns`` hold those that its storage brings with it."""

    schema: str
    name: str
    description: str
    grain: str
    storage: Storage
    bi_view: str | None
    query: str | None  # of a view that is more than a selection of one table
    version: str
    columns: tuple[Column, ...]
    checks: tuple[dict[str, Any], ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()  # beside the key

    @property
    def full_name(self) -> str:
        """``schema.table``."""
        return f"{self.schema}.{self.name}"

    @property
    def key(self) -> tuple[str, ...]:
        """The primary key's columns, in order; empty for a table without one."""
        keyed = [column for column in self.columns if column.key is not None]
        return tuple(column.name for column in sorted(keyed, key=lambda column: column.key or 0))

    @property
    def own_columns(self) -> tuple[Column, ...]:
        """The columns that the contract itself lists."""
        brought = {column.name for column in BROUGHT[self.storage]}
        return tuple(column for column in self.columns if column.name not in brought)


BROUGHT: dict[str, tuple[Column, ...]] = {
    "plain": (),
    "view": (),
    "source": (
        Column("source", "text", "The mapping this row was read by.", required=True, key=2),
        Column(  # compared byte by byte: any other order makes the key cost twice as much
            "source_id", "text", "The row's key in its source.", True, key=1, collation="C"
        ),
        Column("changed_at", "timestamptz", "When the source changed the row, where it says so."),
        Column("landed_at", "timestamptz", "When this version was loaded.", required=True),
        Column("run_id", "text", "The run that loaded this version.", required=True),
        Column("deleted_at", "timestamptz", "When the source deleted the row, or we noticed."),
        Column("pass_through", "jsonb", "What the mapping keeps beside our model."),
    ),
    "generation": (
        Column("generation", "bigint", "The publish that made this row.", required=True, key=1),
        Column("as_of", "date", "Nothing dated on or after this day was seen.", required=True),
    ),
}


def _properties(raw: dict[str, Any]) -> dict[str, Any]:
    return {item["property"]: item["value"] for item in raw.get("customProperties", ())}


def _column(raw: dict[str, Any], shift: int) -> Column:
    own, options = _properties(raw), raw.get("logicalTypeOptions", {})
    position = raw.get("primaryKeyPosition", 1) if raw.get("primaryKey") else None
    return Column(
        name=raw["name"],
        type=raw["physicalType"],
        description=" ".join(raw["description"].split()),
        required=raw.get("required", False) or position is not None,
        key=None if position is None else position + shift,
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        values=tuple(own["values"]) if "values" in own else None,
        unit=own.get("unit"),
        formula=own.get("formula"),
        missing=own.get("missing"),
        default=own.get("default"),
        in_history=own.get("history", True),
        in_bi=own.get("bi", True),
        sensitive=own.get("sensitive", False),
    )


@cache
def load(full_name: str) -> Table:
    """Read the contract of ``schema.table``; a ConfigError names the file and what is missing."""
    schema, _, name = full_name.partition(".")
    path = HERE / schema / f"{name}.yaml"
    if not path.exists():
        raise ConfigError(f"{full_name}: no contract include/contracts/{schema}/{name}.yaml")
    raw = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    try:
        described = raw["schema"][0]
        own = _properties(described)
        storage: Storage = own.get("storage", "plain")
        brought = BROUGHT[storage]
        shift = sum(column.key is not None for column in brought)
        columns = tuple(_column(column, shift) for column in described["properties"])
        return Table(
            schema=schema,
            name=name,
            description=" ".join(described["description"].split()),
            grain=own.get("grain", ""),
            storage=storage,
            bi_view=own.get("bi_view"),
            query=own.get("query"),
            version=raw["version"],
            columns=(*brought, *columns),
            checks=tuple(described.get("quality", ())),
            indexes=tuple(tuple(columns) for columns in own.get("indexes", ())),
        )
    except (KeyError, TypeError) as error:
        raise ConfigError(f"contracts/{schema}/{path.name}: {error} is missing or odd") from error


@cache
def all_tables() -> tuple[Table, ...]:
    """Every contract in the order of deployment: a view follows what it reads."""
    written = [
        load(f"{schema}.{path.stem}")
        for schema in SCHEMAS
        for path in sorted((HERE / schema).glob("*.yaml"))
    ]
    told, *measured = metric_views()  # what is written by hand reads the one, and is read by these
    derived = [profile_history(load("mart.customer_profile")), *measured]
    return tuple(sorted([told, *written, *derived], key=lambda table: SCHEMAS.index(table.schema)))


def history(table: Table) -> Table:
    """The table that keeps the replaced versions of a landing entity."""
    columns = (
        *(
            Column(
                column.name,
                column.type,
                column.description,
                key=column.key,
                required=bool(column.key),
            )
            for column in table.columns
        ),
        Column("valid_from", "timestamptz", "When this version was landed.", required=True, key=3),
        Column("valid_to", "timestamptz", "When the next version replaced it.", required=True),
    )
    return Table(
        schema=table.schema,
        name=f"{table.name}_history",
        description=f"Replaced versions of {table.full_name}: what we knew then.",
        grain="source, source_id, valid_from",
        storage="plain",
        bi_view=None,
        query=None,
        version=table.version,
        columns=columns,
    )


def profile_history(profile: Table) -> Table:
    """The table that keeps what a profile said on each day that was published.

    A feature that the calendar alone moves is left out: its date, which stays, is there.
    """
    columns = (
        Column("customer_id", "bigint", "The person.", required=True, key=1),
        Column("from_as_of", "date", "The first day with these values.", required=True, key=2),
        Column("to_as_of", "date", "The first day with others, or none. Null: still so."),
        *(
            replace(column, key=None, required=False)
            for column in profile.own_columns
            if column.in_history and column.key is None
        ),
    )
    return Table(
        schema=profile.schema,
        name=f"{profile.name}_history",
        description=(
            "What the published profiles said, one row for each time that it changed: on a day d, "
            "the rows with from_as_of <= d and (to_as_of > d or to_as_of is null)."
        ),
        grain="customer_id, from_as_of",
        storage="plain",
        bi_view=f"{profile.name}_history",
        query=None,
        version=profile.version,
        columns=columns,
    )


def metric_views() -> list[Table]:
    """The view of each metric, and ``bi.metric``, which says what they are."""
    told = [column for column in metrics.Metric.model_fields if column != "grain"]
    rows = [
        [*(getattr(metric, column) for column in told), ", ".join(metric.grain) or None]
        for metric in metrics.load()
    ]
    values = ",\n".join(f"({', '.join(map(_literal, row))})" for row in rows)
    listed = _view(
        "metric",
        "What is measured, and how.",
        "name",
        f"SELECT * FROM (VALUES {values}) AS m ({', '.join(told)}, grain)",
        tuple(Column(name, "text", METRIC[name]) for name in [*told, "grain"]),
    )
    return [listed, *(_metric_view(metric) for metric in metrics.load())]


METRIC = {
    "name": "Its name; bi.metric_<name> gives its value.",
    "label": "Its name for people.",
    "unit": "What it counts; money is in the currency of the domain file.",
    "owner": "Who answers for what it means.",
    "description": "What it says.",
    "sql": "The query behind it.",
    "grain": "The columns beside the value; null: one value for all.",
}


def _metric_view(metric: metrics.Metric) -> Table:
    beside = (Column(name, kind, "What the value is of.") for name, kind in metric.grain.items())
    value = Column("value", "double precision", metric.label + ".", unit=metric.unit)
    grain = ", ".join(metric.grain)
    query = f"""SELECT {f"{grain}, " if grain else ""}value::float8 AS value
                FROM ({metric.sql}) AS measured"""
    description = metric.description
    return _view(f"metric_{metric.name}", description, grain or "one row", query, (*beside, value))


def _view(name: str, description: str, grain: str, query: str, columns: Any) -> Table:
    return Table("bi", name, description, grain, "view", None, query, "1.0.0", tuple(columns))


def _literal(value: str | None) -> str:
    return "NULL::text" if value is None else "'" + value.replace("'", "''") + "'"
