"""Everything about one source that is on: its server, its rights, each of its entities."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from include import connections, contracts, sources
from include.errors import ConfigError, PortraitError
from include.local.findings import Finding
from include.local.lineage import Query, nearest
from include.local.probes import PROBES, Attempt, Probe, Relation, open_probe
from include.local.probes.postgres import PostgresProbe
from include.sources import Entity, SoftDelete, Source

MOST_APART_SECONDS = 60
"""Clocks that are kept by the network's time differ by far less."""


@dataclass(frozen=True)
class Landed:
    """What the warehouse says of one entity, and how many of its rows it set aside."""

    said: str = "never loaded"
    quarantined: int = 0


def examine(source: Source, warehouse: PostgresProbe | None) -> Iterator[Finding]:
    """Every finding about ``source``; ``warehouse`` is None where it does not answer."""
    name = source.name
    try:
        where = connections.address(source.connection).where
        if connections.address(source.connection).dialect not in PROBES:
            connections.connect_sqlserver(source.connection).close()
            yield Finding(name, True, f"SQL Server answers at {where}; no more is looked at there")
            return
        probe = open_probe(source.connection)
    except PortraitError as error:
        yield Finding(name, False, str(error))
        return
    landed, ahead_seconds = dict.fromkeys(source.entities, Landed("")), None
    try:
        if warehouse is not None:
            landed = {entity: _landed(warehouse, name, entity) for entity in source.entities}
            ahead_seconds = warehouse.ahead_seconds()
    except psycopg.Error as error:
        yield Finding(name, None, f"the warehouse does not say what landed: {_line(error)}")
    try:
        yield from _server(name, where, probe, ahead_seconds)
        yield from (Finding(name, None, said) for said in probe.notes())
        relations = probe.relations()
        for entity in source.entities:
            yield from _entity(source, entity, probe, relations, landed[entity])
    except probe.errors as error:
        said = f"{where}: {_line(error)}; the rest of {name} was not looked at: run this again"
        yield Finding(name, False, said)
    finally:
        probe.close()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _server(
    name: str, where: str, probe: Probe, warehouse_ahead_seconds: float | None
) -> Iterator[Finding]:
    server = probe.server()
    yield Finding(name, True, f"{server.said}, answers at {where}")
    clocks = {"this machine": server.ahead_seconds}
    if warehouse_ahead_seconds is not None:
        clocks["the warehouse"] = server.ahead_seconds - warehouse_ahead_seconds
    good = all(abs(seconds) <= MOST_APART_SECONDS for seconds in clocks.values())
    said = ", ".join(
        f"{round(seconds, 1) + 0.0:+.1f} s to {other}" for other, seconds in clocks.items()
    )
    more = "" if good else "; set all of them by network time (NTP)"
    yield Finding(name, good, f"clock {said}{more}")
    if server.warning:
        yield Finding(name, None, server.warning)


def _entity(
    source: Source, name: str, probe: Probe, relations: list[Relation], landed: Landed
) -> Iterator[Finding]:
    subject, entity = f"{source.name}.{name}", source.entities[name]
    try:
        alone = source.model_copy(update={"entities": {name: entity}})
        sources.check_read_only(alone, probe.dialect)
    except ConfigError as error:
        yield Finding(subject, False, str(error))
        return
    query, attempt = Query(entity.select, probe, relations), probe.attempt(entity.select)
    if attempt.refused:
        yield from _refusal(subject, query, attempt)
        if landed.said:
            yield Finding(subject, None, landed.said)
    else:
        lacks = list(_lacks(subject, name, entity, attempt.columns))
        counts = "; ".join(filter(None, [_expected(probe, entity.select), landed.said]))
        yield Finding(subject, None if lacks else True, counts)
        yield from lacks
        yield from _unasked(subject, source, name, attempt.columns)
        if entity.cursor in attempt.columns:
            yield from _cursor(subject, entity.cursor, query)
    if landed.quarantined:
        told = f"SELECT * FROM bi.quarantine WHERE source = '{source.name}' AND entity = '{name}'"
        yield Finding(subject, None, f"{landed.quarantined:,} rows in quarantine; reasons: {told}")


def _expected(probe: Probe, select: str) -> str:
    rows, about = probe.rows(select), "" if probe.dialect == "sqlite" else "about "
    return f"{'an unknown number of' if rows is None else f'{about}{rows:,}'} rows to read"


def _refusal(subject: str, query: Query, attempt: Attempt) -> Iterator[Finding]:
    """Why the select does not run, by name where the catalog can tell, else as the server says."""
    if attempt.refused == "slow":
        yield Finding(
            subject,
            None,
            f"the select gave no answer within seconds ({attempt.said}); a load waits longer",
        )
        return
    said = list(_denials(query, attempt) if attempt.refused == "denied" else _unknown(query))
    for each in said or [f"{attempt.said}; mend the select"]:
        yield Finding(subject, False, each)


def _unknown(query: Query) -> Iterator[str]:
    for table in query.unknown_tables():
        yield f'no table "{table}"; {nearest(table, [one.said for one in query.relations])}'
    for column, tables in query.unknown_columns():
        if tables:
            among = ", ".join(table.said for table in tables)
            names = [name for table in tables for name in query.columns(table)]
            yield f'no column "{column}" in {among}; {nearest(column, names)}'


def _denials(query: Query, attempt: Attempt) -> Iterator[str]:
    """Tables that the account may not read, and the right to ask for."""
    probe, unseen = query.probe, query.unknown_tables()
    for name in unseen:  # MySQL hides what one may not read
        near = nearest(name, [one.said for one in query.relations])
        grant = probe.grant([".".join(map(probe.quoted, name.split(".")))])
        yield f'may not read "{name}", or it is not there ({near}); ask for {grant}'
    shut = [table for table in query.known if probe.attempt(f"SELECT 1 FROM {table.sql}").refused]
    for table in shut:
        yield f"may not read {table.said}; ask for {probe.grant([table.sql])}"
    if not unseen and not shut:  # some columns, or a function
        tables = [table.sql for table in query.known]
        more = f", or for {probe.grant(tables)}" if tables else ""
        yield f"{attempt.said}; ask for that right{more}"


def _lacks(subject: str, name: str, entity: Entity, given: tuple[str, ...]) -> Iterator[Finding]:
    """Columns that a load cannot do without."""
    own = contracts.load(f"landing.{name}").own_columns
    needed = {"source_id": "the key"} | {
        column.name: "required by the contract"
        for column in own
        if column.required and column.default is None
    }
    if entity.cursor:
        needed[entity.cursor] = "the cursor"
    if isinstance(entity.deletes, SoftDelete):
        needed[entity.deletes.column] = "the mark of deleted rows"
    needed |= dict.fromkeys(entity.pass_through, "in pass_through")
    for column, why in needed.items():
        if column not in given:
            near = nearest(column, list(given))
            yield Finding(
                subject,
                False,
                f'the select gives no column "{column}" ({why}); {near}; alias one so',
            )


def _unasked(subject: str, source: Source, name: str, given: tuple[str, ...]) -> Iterator[Finding]:
    entity = source.entities[name]
    known = {column.name for column in contracts.load(f"landing.{name}").own_columns}
    known |= {"source_id", *entity.pass_through}
    known |= {entity.cursor} if entity.cursor else set()
    known |= {entity.deletes.column} if isinstance(entity.deletes, SoftDelete) else set()
    if unasked := [column for column in given if column not in known]:
        said = f"columns that are not in our model: {', '.join(unasked)}"
        does = "kept in pass_through" if source.changes.added == "evolve" else "ignored"
        yield Finding(subject, None, f"{said}; {does}")


def _cursor(subject: str, cursor: str, query: Query) -> Iterator[Finding]:
    """Each table whose changes can only be found by reading all of it."""
    probe = query.probe
    origins = query.origins(cursor)
    if origins is None:
        said = f"cursor {cursor} is not one plain column: cannot tell whether an index helps"
        yield Finding(subject, None, said)
    for table, column in dict.fromkeys(origins or []):
        if table.view:
            said = (
                f"cursor {cursor} comes from {table.said}, which is no table: cannot tell whether"
            )
            yield Finding(subject, None, f"{said} an index helps")
        elif not probe.indexed(table, column):
            rows = probe.rows(f"SELECT 1 FROM {table.sql}")
            index = probe.quoted(f"{table.name}_{column}")
            yield Finding(
                subject,
                None,
                f"no index on {table.said}.{column}: each load reads all of its "
                f"{'' if rows is None else f'{rows:,} '}rows; ask the CRM's administrator for "
                f"CREATE INDEX{table.hint} {index} ON {table.sql} ({probe.quoted(column)})",
            )


def _landed(warehouse: PostgresProbe, source: str, entity: str) -> Landed:
    """Rows, watermark and quarantine of one entity."""
    if warehouse.ask("SELECT to_regclass('ops.watermark'), to_regclass('ops.quarantine')") == [
        (None, None)
    ]:
        return Landed()
    marks = warehouse.ask(
        """SELECT to_char(read_to, 'YYYY-MM-DD HH24:MI'), extract(epoch FROM now() - read_to)
           FROM ops.watermark WHERE source = %s AND entity = %s""",
        [source, entity],
    )
    ((quarantined,),) = warehouse.ask(
        """SELECT count(DISTINCT row_key_hash) FROM ops.quarantine
           WHERE source = %s AND entity = %s""",
        [source, entity],
    )
    if not marks:
        return Landed(quarantined=quarantined)
    ((moment, age_seconds),) = marks
    read_to = "its first load in batches is not finished"
    if moment is not None:
        read_to = f"read to {moment} UTC, {_age(float(age_seconds))} ago"
    return Landed(f"{_counted(warehouse, source, entity)}, {read_to}", quarantined)


def _counted(warehouse: PostgresProbe, source: str, entity: str) -> str:
    rows = f"""SELECT source FROM landing.{entity}
               WHERE source = '{source}' AND deleted_at IS NULL"""
    try:
        ((count,),) = warehouse.ask(f"SELECT count(*) FROM ({rows}) AS one")
    except psycopg.errors.QueryCanceled:
        estimate = warehouse.rows(rows)
        return f"about {estimate or 0:,} landed"
    return f"{count:,} landed"


def _age(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
