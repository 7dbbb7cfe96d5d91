"""What a load does when the columns of its source are not those of the last load."""

import logging
import re

from include.contracts import Table
from include.errors import ConfigError
from include.landing.readers import Reader
from include.landing.state import State
from include.sources import Entity, SoftDelete, Source

log = logging.getLogger(__name__)

UNKNOWN_COLUMN = re.compile(  # how PostgreSQL, MySQL, SQLite and SQL Server put it
    r"""column "?(?P<postgres>[^"]+?)"? does not exist|Unknown column '(?P<mysql>[^']+)'"""
    r"""|no such column: (?P<sqlite>[^\s;]+)|Invalid column name '(?P<tsql>[^']+)'"""
)
MOST_DROPPED = 50


def adapt(
    source: Source, table: Table, entity: Entity, reader: Reader, state: State
) -> tuple[Entity, dict[str, str], frozenset[str]]:
    """The entity as it can be read now, the shape of its select, and the columns that are gone.

    Compared with the last load, unless its select was another one: a mapping may change as it
    likes.

    Raises
    ------
    ConfigError
        If the mapping's policy is to stop at such a change.
    """
    where = f"{source.name}.yaml: entities.{table.name}"
    entity, shape, gone = _without_dropped(source, table, entity, reader, where)
    same = state.select == source.entities[table.name].select
    known = state.shape if same and state.shape else shape
    if source.changes.retyped != "ignore":
        for name in sorted(set(known) & set(shape) - gone):
            if known[name] != shape[name]:
                _retyped(source, where, name, known[name], shape[name])
    asked = {column.name for column in table.own_columns} | {"source_id", entity.cursor}
    asked |= set(entity.pass_through)
    if isinstance(entity.deletes, SoftDelete):
        asked.add(entity.deletes.column)
    left = [name for name in known if name not in shape and name in asked]
    if left and source.changes.dropped == "freeze":
        raise ConfigError(
            f"{where}: the select gives no {', '.join(left)} any more; mend it, or say "
            "changes: {dropped: evolve} (null from now on) or ignore (keep what was landed)"
        )
    if left:
        beside = tuple(name for name in entity.pass_through if name in shape)
        entity = entity.model_copy(update={"pass_through": beside})
        log.warning("%s: gone from the source: %s", where, ", ".join(left))
    new = [name for name in shape if name not in known]
    added = [name for name in new if name not in asked]
    unasked = [name for name in shape if name not in asked]
    if new and source.changes.added == "freeze":
        raise ConfigError(
            f"{where}: the source has new columns: {', '.join(new)}; name them in pass_through, "
            "leave them out of the select, or say changes: {added: ignore}"
        )
    if added and source.changes.added == "ignore":
        log.warning("%s: new columns are left out: %s", where, ", ".join(added))
    if unasked and source.changes.added == "evolve":
        if added:
            log.warning("%s: new columns go to pass_through: %s", where, ", ".join(added))
        entity = entity.model_copy(update={"pass_through": (*entity.pass_through, *unasked)})
    return entity, shape, gone | set(left)


def _retyped(source: Source, where: str, name: str, old: str, new: str) -> None:
    if source.changes.retyped == "freeze":
        raise ConfigError(
            f"{where}: {name} was {old} and is {new} now; look at the select, then say "
            "changes: {retyped: evolve} for one run"
        )
    log.warning(
        "%s: %s was %s and is %s now; what does not fit is set aside", where, name, old, new
    )


def _without_dropped(
    source: Source, table: Table, entity: Entity, reader: Reader, where: str
) -> tuple[Entity, dict[str, str], frozenset[str]]:
    """The entity with null for the columns that its source no longer has, where that may be."""
    gone: set[str] = set()
    for _ in range(MOST_DROPPED):
        try:
            return entity, reader.shape(entity.select), frozenset(gone)
        except ConfigError as error:
            missing = UNKNOWN_COLUMN.search(str(error))
            if missing is None or source.changes.dropped == "freeze":
                raise
            column = next(group for group in missing.groups() if group)
            select, outputs = _nulled(entity.select, reader.dialect, column)
            needed = {c.name for c in table.own_columns if c.required} | {"source_id"}
            needed |= {entity.cursor} if entity.cursor else set()
            if not outputs or outputs & needed:
                raise
            log.warning("%s: the source has no %s any more; %s", where, column, outputs)
            gone |= outputs
            entity = entity.model_copy(update={"select": select})
    raise ConfigError(f"{where}: more than {MOST_DROPPED} columns are gone; mend the select")


def _nulled(select: str, dialect: str, column: str) -> tuple[str, set[str]]:
    """The query with null for ``column``, and the outputs that hold it; none if it is a condition.

    A column that decides which rows there are cannot be left out.
    """
    import sqlglot
    from sqlglot import exp

    grammar = {"sqlserver": "tsql"}.get(dialect, dialect)
    tree = sqlglot.parse_one(select, read=grammar)
    place, _, name = column.rpartition(".")
    outputs: set[str] = set()
    for node in list(tree.find_all(exp.Column)):
        if node.name.lower() != name.lower() or (place and node.table.lower() != place.lower()):
            continue
        output: exp.Expression = node
        while output.parent is not None and not isinstance(output.parent, exp.Select):
            output = output.parent
        if output.arg_key != "expressions":
            return select, set()
        outputs.add(output.alias_or_name)
        null = exp.Null()
        node.replace(exp.alias_(null, output.alias_or_name) if node is output else null)
    return tree.sql(dialect=grammar), outputs
