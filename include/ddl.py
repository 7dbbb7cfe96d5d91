"""What a contract is in PostgreSQL: the statements that make its table and its BI view."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter

from psycopg import sql

from include import contracts
from include.contracts import Column, Table

SAME_TYPE = {"timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone"}
LONGEST_NAME = 63  # of PostgreSQL, in bytes


def text(query: str) -> sql.SQL:
    """Our own SQL text, from this repository; values are bound, identifiers quoted elsewhere."""
    return sql.SQL(query)


def quoted(column: str) -> str:
    """``column`` as an identifier inside a text of our own."""
    return '"' + column.replace('"', '""') + '"'


def literal(value: str) -> str:
    """``value`` as a text inside a query of our own; COPY takes no bound values."""
    return "'" + value.replace("'", "''") + "'"


def name(table: str) -> sql.Identifier:
    """``schema.table`` as a quoted identifier."""
    return sql.Identifier(*table.split("."))


@dataclass(frozen=True)
class Found:
    """A column as the warehouse has it."""

    type: str
    required: bool
    comment: str | None


@dataclass(frozen=True)
class There:
    """A table or view as the warehouse has it; the empty one is not there."""

    kind: str = ""  # r: table, p: partitioned table, v: view
    comment: str | None = None
    key: tuple[str, ...] = ()
    columns: dict[str, Found] = field(default_factory=dict)


FUNCTIONS = r"""
CREATE OR REPLACE FUNCTION ops.to_odd_moment(value text, zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF value !~ '^\s*[0-9]{4}[-/.]?[0-9]' THEN RETURN NULL; END IF;  -- 1/2/2026, yesterday
    IF value ~ '(Z|[+-][0-9]{2}(:?[0-9]{2})?)$' AND value ~ ':' THEN
        RETURN value::timestamptz;
    END IF;
    RETURN value::timestamp AT TIME ZONE zone;
EXCEPTION WHEN data_exception OR invalid_parameter_value THEN RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION ops.to_moment(value text, zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$  -- a block that can fail costs a subtransaction
DECLARE
    month int;
    days int;
BEGIN
    IF value ~ ('^[12][0-9]{3}-(0[1-9]|1[0-2])-(29|3[01])'
                '([ T]([01][0-9]|2[0-3])(:[0-5][0-9]){1,2}(\.[0-9]+)?)?$')
    THEN
        month := substr(value, 6, 2)::int;
        days := CASE WHEN month IN (4, 6, 9, 11) THEN 30 WHEN month <> 2 THEN 31
                     WHEN substr(value, 1, 4)::int % 4 = 0 AND (substr(value, 1, 4)::int % 100 <> 0
                          OR substr(value, 1, 4)::int % 400 = 0) THEN 29 ELSE 28 END;
        IF substr(value, 9, 2)::int <= days THEN
            RETURN value::timestamp AT TIME ZONE zone;
        END IF;
    END IF;
    RETURN ops.to_odd_moment(value, zone);
END $$;
CREATE OR REPLACE FUNCTION ops.to_day(value text) RETURNS date
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF value !~ '^\s*[0-9]{4}[-/.]?[0-9]' THEN RETURN NULL; END IF;
    RETURN value::timestamp::date;
EXCEPTION WHEN data_exception THEN RETURN NULL;
END $$
"""


def _definition(column: Column) -> sql.Composed:
    return sql.SQL("{} {}{}{}{}").format(
        sql.Identifier(column.name),
        text(column.type),
        text(f' COLLATE "{column.collation}"' if column.collation else ""),
        sql.SQL(" NOT NULL") if column.required else sql.SQL(""),
        text(f" DEFAULT {column.default}" if column.default else ""),
    )


def create(table: Table) -> sql.Composed:
    """The table as its contract says."""
    parts = [_definition(column) for column in table.columns]
    if table.key:
        keys = sql.SQL(", ").join(map(sql.Identifier, table.key))
        parts.append(sql.SQL("PRIMARY KEY ({})").format(keys))
    by = {
        "source": " PARTITION BY LIST (source)",
        "generation": " PARTITION BY LIST (generation)",
    }
    return sql.SQL("CREATE TABLE {} ({}){}").format(
        name(table.full_name), sql.SQL(", ").join(parts), text(by.get(table.storage, ""))
    )


def alter(table: Table, there: There) -> list[sql.Composed]:
    """What a table that is there lacks: columns (at its end), and the leave to be null."""
    steps = [
        # nullable: the rows that are there have no value
        sql.SQL("ADD COLUMN {}").format(_definition(replace(column, required=False)))
        for column in table.columns
        if column.name not in there.columns
    ]
    steps += [
        sql.SQL("ALTER COLUMN {} DROP NOT NULL").format(sql.Identifier(column.name))
        for column in table.columns
        if column.name in there.columns
        and there.columns[column.name].required
        and not column.required
    ]
    if not steps:
        return []
    return [sql.SQL("ALTER TABLE {} {}").format(name(table.full_name), sql.SQL(", ").join(steps))]


def indexes(table: Table) -> dict[str, sql.Composed]:
    """The indexes beside the key, by name."""
    return {
        (called := f"{table.name}_{'_'.join(columns)}_idx"[:LONGEST_NAME]): sql.SQL(
            "CREATE INDEX {} ON {} ({})"
        ).format(
            sql.Identifier(called),
            name(table.full_name),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
        )
        for columns in table.indexes
    }


def table_comments(table: Table, there: There) -> list[sql.Composed]:
    """The comments of a table and its columns, as far as they are not there."""
    return _comments("TABLE", table.full_name, table.description, table.columns, there)


def view_comments(view: str, table: Table, there: There) -> list[sql.Composed]:
    """The comments of a view and its columns, as far as they are not there."""
    description = f"{table.description} One row: {table.grain}."
    return _comments("VIEW", view, description, view_columns(table), there)


def _comments(
    kind: str, full_name: str, description: str, columns: Iterable[Column], there: There
) -> list[sql.Composed]:
    said = []
    if there.comment != description:
        said.append(
            sql.SQL("COMMENT ON {} {} IS {}").format(
                text(kind), name(full_name), sql.Literal(description)
            )
        )
    for column in columns:
        meaning, found = _meaning(column), there.columns.get(column.name)
        if found is None or found.comment != meaning:
            said.append(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                    name(full_name), sql.Identifier(column.name), sql.Literal(meaning)
                )
            )
    return said


def _meaning(column: Column) -> str:
    meaning = column.description
    if column.unit:
        meaning += f" Unit: {column.unit}."
    if column.formula:
        meaning += f" Formula: {column.formula}."
    return meaning


CURRENT = """(SELECT coalesce(nullif(current_setting('portrait.generation', true), '')::bigint,
    (SELECT generation FROM ops.current_generation)))"""


def view(table: Table) -> str | None:
    """The view that BI reads the table by, if any."""
    shown = table.name if table.storage == "view" else table.bi_view
    return f"bi.{shown}" if shown else None


def view_columns(table: Table) -> list[Column]:
    """The columns of a table's BI view: its own key first, then the rest, in contract order."""
    shown = [column for column in table.columns if column.in_bi]
    brought = {column.name for column in contracts.BROUGHT[table.storage]}
    keys = [column for column in shown if column.key is not None and column.name not in brought]
    return keys + [column for column in shown if column not in keys]


def view_query(table: Table, there: There) -> sql.Composed:
    """What the view selects; one of generations reads the pointer row."""
    places = list(there.columns)  # a view that is there takes new columns at its end only
    columns = sorted(
        view_columns(table),
        key=lambda column: places.index(column.name) if column.name in places else len(places),
    )
    listed = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    if table.query:
        return sql.SQL("SELECT {} FROM ({}) AS q").format(listed, text(table.query))
    query = sql.SQL("SELECT {} FROM {}").format(listed, name(table.full_name))
    return (
        query + text(f" WHERE generation = {CURRENT}") if table.storage == "generation" else query
    )


def views(tables: Iterable[Table]) -> list[tuple[str, Table]]:
    """Each view and its contract, those that read other views after these."""
    shown = {shown: table for table in tables if (shown := view(table))}
    reads = {
        shown: {f"bi.{other}" for other in re.findall(r"\bbi\.(\w+)", table.query or "")} - {shown}
        for shown, table in shown.items()
    }
    return [(one, shown[one]) for one in TopologicalSorter(reads).static_order() if one in shown]


def losses(tables: Iterable[Table], there: Mapping[str, There]) -> list[str]:
    """What the contracts would have to take away from what is there; nobody does but a person."""
    found = []
    for table in tables:
        if table.storage != "view":
            found += _table_losses(table, there.get(table.full_name, There()))
        if shown := view(table):
            wanted = {column.name: column.type for column in view_columns(table)}
            mend = f"drop the view by hand (DROP VIEW {shown} CASCADE), the next run makes it anew"
            found += _column_losses(shown, wanted, there.get(shown, There()), mend, mend)
    return found


def _table_losses(table: Table, there: There) -> list[str]:
    if not there.kind:
        return []
    found = _column_losses(
        table.full_name,
        {column.name: column.type for column in table.columns},
        there,
        "drop it by hand (ALTER TABLE ... DROP COLUMN ... CASCADE)",
        "add a column under another name, or alter it by hand",
    )
    kinds = {"r": "a table in one piece", "p": "a table in partitions", "v": "a view"}
    kind = "r" if table.storage == "plain" else "p"
    for what, is_now, wanted in (
        ("kind", kinds[there.kind], kinds[kind]),
        ("key", ", ".join(there.key), ", ".join(table.key)),
    ):
        if is_now != wanted:
            found.append(
                f"{table.full_name}: its {what} is {is_now or 'none'}, its contract says "
                f"{wanted or 'none'}: make a table under another name, or alter it by hand"
            )
    return found


def _column_losses(
    full_name: str, wanted: Mapping[str, str], there: There, gone: str, retyped: str
) -> list[str]:
    found = []
    for column, is_now in there.columns.items():
        kind = SAME_TYPE.get(wanted.get(column, ""), wanted.get(column))
        if kind is None:
            found.append(
                f"{full_name}.{column} is in the warehouse but not in its contract: "
                f"put it back (or upgrade this checkout, if it is the older one), or {gone}"
            )
        elif kind != is_now.type:
            found.append(
                f"{full_name}.{column} is {is_now.type}, its contract says {kind}: {retyped}"
            )
    return found
