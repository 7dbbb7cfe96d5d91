"""Which tables and columns the query of a mapping names: sqlglot reads it, the catalog judges."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.scope import Scope, build_scope

from include.local.probes import Probe, Relation

SHOWN = 8
IMPLICIT = {"rowid", "oid", "_rowid_", "ctid", "xmin", "tableoid"}  # columns that no catalog lists


def nearest(wanted: str, names: list[str]) -> str:
    """The existing name that ``wanted`` was probably meant to be, in words."""
    short = {name.rpartition(".")[2].lower(): name for name in reversed(names)}
    if found := get_close_matches(wanted.rpartition(".")[2].lower(), short, 1):
        return f"nearest: {short[found[0]]}"
    more = ", ..." if len(names) > SHOWN else ""
    return f"there are: {', '.join(names[:SHOWN])}{more}" if names else "there are none"


class Query:
    """The select of an entity beside the catalog of its database."""

    def __init__(self, select: str, probe: Probe, relations: list[Relation]) -> None:
        self.probe, self.relations = probe, relations
        self.tree = sqlglot.parse_one(select, read=probe.dialect)
        self.root, self.scopes = _scopes(self.tree)
        self._columns: dict[Relation, list[str]] = {}

    @cached_property
    def tables(self) -> list[exp.Table]:
        """Every table that is read, once; common table expressions and functions are none."""
        found = {
            source.sql(): source
            for scope in self.scopes
            for _, source in scope.selected_sources.values()
            if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier)
        }
        return list({_path(table): table for table in found.values()}.values())

    @cached_property
    def known(self) -> list[Relation]:
        """Those tables that the catalog has."""
        return [found for table in self.tables if (found := self.find(table))]

    def unknown_tables(self) -> list[str]:
        """Tables that the catalog does not have."""
        return [_path(table) for table in self.tables if not self.find(table)]

    def find(self, table: exp.Table) -> Relation | None:
        """The table in the catalog; without a schema, one that needs none."""
        for relation in self.relations:
            named = relation.near if not table.db else self._same(table.args["db"], relation.schema)
            if named and self._same(table.this, relation.name):
                return relation
        return None

    def columns(self, relation: Relation) -> list[str]:
        """The names of a table's columns, asked once."""
        if relation not in self._columns:
            self._columns[relation] = self.probe.columns(relation)
        return self._columns[relation]

    def unknown_columns(self) -> list[tuple[str, list[Relation]]]:
        """Columns that no table has which could have them, and those tables."""
        found: dict[str, list[Relation]] = {}
        for scope in self.scopes:
            for column in scope.columns:
                if not isinstance(column.this, exp.Identifier) or self._is_known(scope, column):
                    continue
                found.setdefault(column.name, list(self._may_have(scope, column)))
        return list(found.items())

    def origins(self, alias: str) -> list[tuple[Relation, str]] | None:
        """The plain columns that ``alias`` is taken from, one a part of a union; else None."""
        return None if self.root is None else self._origins(self.root, alias)

    def _origins(self, scope: Scope, alias: str) -> list[tuple[Relation, str]] | None:
        names = [name.lower() for name in scope.expression.named_selects]
        if alias.lower() in names:
            return self._origins_at(scope, names.index(alias.lower()))
        if scope.expression.is_star and isinstance(scope.expression, exp.Select):
            return self._owner(scope, exp.column(alias))
        return None

    def _origins_at(self, scope: Scope, place: int) -> list[tuple[Relation, str]] | None:
        if isinstance(scope.expression, exp.SetOperation):
            parts = [self._origins_at(part, place) for part in scope.set_operation_scopes]
            return None if None in parts else [one for part in parts for one in part or []]
        selects = scope.expression.selects
        if any(select.is_star for select in selects[: place + 1]):
            return None
        value = selects[place].unalias()
        while isinstance(value, exp.Paren):
            value = value.this
        return self._owner(scope, value) if isinstance(value, exp.Column) else None

    def _owner(self, scope: Scope, column: exp.Column) -> list[tuple[Relation, str]] | None:
        for _, source in _sources(scope, column):
            if isinstance(source, Scope):
                if self._gives(source, column):
                    return self._origins(source, column.name)
            elif relation := self.find(source):
                for name in self.columns(relation):
                    if self._same(column.this, name):
                        return [(relation, name)]
        return None

    def _same(self, written: exp.Identifier, stored: str) -> bool:
        if self.probe.dialect == "postgres":
            folded = written.name if written.args.get("quoted") else written.name.lower()
            return bool(folded == stored)
        return bool(written.name.lower() == stored.lower())

    def _is_known(self, scope: Scope, column: exp.Column) -> bool:
        """Benefit of the doubt: only what certainly nothing gives is unknown."""
        if column.name.lower() in IMPLICIT or _is_alias(scope, column):
            return True
        for seen in _around(scope):
            if not column.table and column.name in seen.selected_sources:
                return True  # a whole row
            if any(self._gives(source, column) for _, source in _sources(seen, column)):
                return True
        return False

    def _may_have(self, scope: Scope, column: exp.Column) -> Iterator[Relation]:
        for seen in _around(scope):
            for _, source in _sources(seen, column):
                if isinstance(source, exp.Table) and (relation := self.find(source)):
                    yield relation

    def _gives(self, source: Any, column: exp.Column) -> bool:
        """Whether a table or subquery may have the column."""
        if isinstance(source, Scope):
            query = source.expression
            if not isinstance(query, exp.Query) or query.is_star or _renames(query):
                return True
            return any(self._same(column.this, name) for name in query.named_selects)
        relation = self.find(source) if isinstance(source.this, exp.Identifier) else None
        return relation is None or any(
            self._same(column.this, name) for name in self.columns(relation)
        )


def _scopes(tree: exp.Expression) -> tuple[Scope | None, list[Scope]]:
    """The outermost scope and all of them; none where names are too alike to tell apart."""
    try:
        root = build_scope(tree)
        scopes = list(root.traverse()) if root else []
        for scope in scopes:
            scope.selected_sources  # noqa: B018  sales.item beside stock.item has it raise
    except OptimizeError:
        return None, []
    return root, scopes


def _path(table: exp.Table) -> str:
    return f"{table.db}.{table.name}" if table.db else str(table.name)


def _sources(scope: Scope, column: exp.Column) -> list[tuple[Any, Any]]:
    """What a column may come from in ``scope``: the source that it names, else all."""
    sources = scope.selected_sources
    if column.table:
        return [pair for name, pair in sources.items() if name.lower() == column.table.lower()]
    return list(sources.values())


def _around(scope: Scope | None) -> Iterator[Scope]:
    """The scope, and those whose columns are seen from inside it."""
    while scope is not None:
        yield scope
        scope = None if scope.is_cte or scope.is_derived_table else scope.parent


def _is_alias(scope: Scope, column: exp.Column) -> bool:
    """Whether it stands where an alias of the projection may be used, and is one."""
    place = column.find_ancestor(exp.Group, exp.Where, exp.Having, exp.Order, exp.Select)
    if column.table or isinstance(place, exp.Select) or not isinstance(scope.expression, exp.Query):
        return False
    aliases = (select.alias for select in scope.expression.selects)
    return column.name.lower() in {alias.lower() for alias in aliases if alias}


def _renames(query: exp.Query) -> bool:
    """WITH d (a, b) AS ...: the columns have other names outside."""
    around = query.parent
    return isinstance(around, exp.CTE | exp.Subquery) and bool(around.alias_column_names)
