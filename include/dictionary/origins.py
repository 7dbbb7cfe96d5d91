"""What each column of one query is made of, as far as the query itself tells: sqlglot reads it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # of what it cannot tell, the table is told


class Field(NamedTuple):
    """A column; without one, the table as a whole."""

    table: str  # landing.order_line, snapshot.order_line, shop:order_lines
    column: str | None = None

    def __str__(self) -> str:
        return self.table if self.column is None else f"{self.table}.{self.column}"


Origins = dict[str, frozenset[Field]]


@dataclass(frozen=True)
class Names:
    """What a query calls the tables that it reads, and what columns they have.

    ``columns`` are by the name in the query; a table of a source, of which none are known, is
    called ``<source>:<table>``.
    """

    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)  # name in the query -> ours, if another
    source: str | None = None

    def ours(self, table: exp.Table) -> str:
        """Our name of a table."""
        written = f"{table.db}.{table.name}" if table.db else table.name
        return f"{self.source}:{written}" if self.source else self.called.get(written, written)

    def schema(self, tree: exp.Expression, dialect: str) -> MappingSchema:
        """The tables of one query, as sqlglot wants them: nested by the parts of a name."""
        found: dict[str, Any] = {}
        for table in tree.find_all(exp.Table):
            written = f"{table.db}.{table.name}" if table.db else table.name
            columns = dict.fromkeys(self.columns.get(written, ()), "text")
            place = found.setdefault(table.db, {}) if table.db else found
            if columns:
                place[table.name] = columns
        return MappingSchema(found, dialect=dialect)


def origins(query: str, dialect: str, names: Names) -> Origins:
    """Of each column that ``query`` gives: the columns of tables that its value is made of.

    Joins and conditions on rows choose rows and make no value: their columns are not listed. Empty:
    a constant. Of a value that no column is in (a count of rows), and of what the query does
    not tell without the catalog of its database, the tables are listed as a whole.
    """
    tree = sqlglot.parse_one(query, read=dialect)
    everything = frozenset(_tables(tree, tree, names))
    schema = names.schema(tree, dialect)
    try:
        tree = qualify(
            _spelled_out(tree),
            dialect=dialect,
            schema=schema,
            identify=False,
            validate_qualify_columns=False,
            allow_partial_qualification=True,  # what stays without its table is told as a whole
        )
        for union in reversed(list(tree.find_all(exp.SetOperation))):
            _in_order(union)
        scope = build_scope(tree)
    except SqlglotError:
        return dict.fromkeys(tree.named_selects, everything)
    found: Origins = {}
    for name in tree.named_selects:
        try:
            node = lineage(
                name,
                tree,
                schema=schema,
                dialect=dialect,
                scope=scope,
                trim_selects=False,
                copy=False,
            )
        except (SqlglotError, ValueError):
            found[name] = everything
            continue
        leaves = [leaf for leaf in node.walk() if not leaf.downstream]
        if any(isinstance(leaf.expression, exp.Placeholder) for leaf in leaves):
            found[name] = everything
        else:
            found[name] = frozenset(of for leaf in leaves for of in _leaf(leaf, tree, names))
    return found


def tables(query: str, dialect: str, names: Names) -> frozenset[str]:
    """The tables that ``query`` reads."""
    tree = sqlglot.parse_one(query, read=dialect)
    return frozenset(field.table for field in _tables(tree, tree, names))


def _leaf(leaf: Node, tree: exp.Expression, names: Names) -> Iterator[Field]:
    """A column of a table; the tables behind a count of rows; nothing behind a constant."""
    value = leaf.expression
    if isinstance(value, exp.Table):
        if isinstance(value.this, exp.Identifier):
            column = leaf.name.rpartition(".")[2].strip('"`')
            yield Field(names.ours(value), None if column == "*" else column)
    elif value.find(exp.AggFunc, exp.Window):
        read = leaf.source.args  # not what other columns ask of other tables
        for part in filter(None, [read.get("from_"), *(read.get("joins") or ())]):
            yield from _tables(part, tree, names)


def _tables(part: exp.Expression, tree: exp.Expression, names: Names) -> Iterator[Field]:
    """The tables that a part of a query reads, by way of its common table expressions."""
    within = {cte.alias: cte for cte in tree.find_all(exp.CTE)}
    seen: set[str] = set()
    todo = list(part.find_all(exp.Table))
    while todo:
        table = todo.pop()
        if not table.db and table.name in within:
            if table.name not in seen:
                seen.add(table.name)
                todo += within[table.name].find_all(exp.Table)
        elif isinstance(table.this, exp.Identifier):
            yield Field(names.ours(table))


def _spelled_out(tree: exp.Expression) -> exp.Expression:
    """Put the WINDOW of a SELECT where its name stands, as lineage looks there alone."""
    tree = tree.copy()
    for select in tree.find_all(exp.Select):
        given = {window.name: window for window in select.args.get("windows") or ()}
        for window in select.find_all(exp.Window) if given else ():
            if window.alias in given and window.arg_key != "windows":
                for part in ("partition_by", "order"):
                    if value := given[window.alias].args.get(part):
                        window.set(
                            part,
                            [v.copy() for v in value] if isinstance(value, list) else value.copy(),
                        )
    return tree


def _in_order(union: exp.SetOperation) -> None:
    """UNION BY NAME as a plain one: lineage goes by places."""
    if not union.args.get("by_name"):
        return
    left, right = union.left, union.right
    names = [*left.named_selects, *(n for n in right.named_selects if n not in left.named_selects)]
    for side in (left, right):
        if isinstance(side, exp.Select):
            own = {select.alias_or_name: select for select in side.selects}
            side.set("expressions", [own.get(n) or exp.alias_(exp.null(), n) for n in names])
    union.set("by_name", False)
