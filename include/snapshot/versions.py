"""What the warehouse knew at a moment: the versions that hold now, and those that were replaced.

Queries name the tables ``landing.<entity>`` and ``core.identity`` as they are now, each with an
alias; what is here puts earlier versions in their place.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from include import contracts
from include.errors import InputError
from include.warehouse import Connection, literal, quoted, text

TABLE = re.compile(r"\b(?:landing\.[a-z_]+|core\.identity)\b")
BEGINS = {"core.identity": "since"}  # of the others: landed_at
ALWAYS, NEVER = "-infinity", "infinity"
SETTLED = """
SELECT least(min(xact_start), clock_timestamp()) - interval '1 second' FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
STATE = """
SELECT source, count(*), count(*) FILTER (WHERE valid_to <= {until}),
       min(valid_from), max(valid_from)
FROM TABLE v GROUP BY source ORDER BY source COLLATE "C"
"""


@dataclass(frozen=True)
class State:
    """Which versions a table has, by source: replaced by others of the same number they differ."""

    known_from: dict[str, datetime]  # source -> moment of its first landing
    counts: list[list[Any]]  # source, versions, those that were replaced, the first, the last

    @property
    def empty(self) -> bool:
        """There is no version at all."""
        return not self.counts


def tables(query: str) -> list[str]:
    """The tables that ``query`` names."""
    return sorted(set(TABLE.findall(query)))


def known(query: str, moment: datetime | None) -> str:
    """``query`` over the rows as they were known at ``moment``; None: as they are."""
    if moment is None:
        return query
    return TABLE.sub(lambda found: _versions(found[0], str(moment), str(moment)), query)


def between(query: str, since: datetime, until: datetime | None) -> str:
    """``query`` over every version that was known at some time of a span; None: to now.

    Each table also has ``valid_from`` and ``valid_to``, null while the version holds.
    """
    return TABLE.sub(lambda found: _versions(found[0], str(since), str(until or NEVER)), query)


def state(db: Connection, table: str, moment: datetime | None) -> State:
    """Which versions of ``table`` were there at ``moment``; None: are."""
    until = str(moment or NEVER)
    query = STATE.replace("TABLE", _versions(table, ALWAYS, until))
    rows = db.execute(text(query).format(until=sql.Literal(until))).fetchall()
    return State(
        known_from={source: first for source, _, _, first, _ in rows},
        counts=[
            [source, count, gone, first.isoformat(), last.isoformat()]
            for source, count, gone, first, last in rows
        ],
    )


def settled_at(db: Connection) -> datetime:
    """A moment up to which every version is seen by whoever begins to read now.

    A load that is still open has stamped its versions with the moment at which it began, and
    nobody sees them yet. Ask outside of the transaction that then reads.
    """
    row = db.execute(SETTLED).fetchone()
    moment: datetime = row[0]  # type: ignore[index]  # an aggregate gives one row
    return moment


def require_past(moment: datetime | None, now: datetime) -> None:
    """Refuse a moment that has not come yet, or that is not one moment everywhere."""
    if moment is None:
        return
    if moment.tzinfo is None:
        raise InputError(
            f"known_at {moment.isoformat()} has no offset: write it as 2026-03-01T06:00:00+00:00"
        )
    if moment > now:
        raise InputError(
            f"known_at {moment.isoformat()} is after {now.isoformat()}, the warehouse's time: "
            "give an earlier moment or none"
        )


def _versions(table: str, since: str, until: str) -> str:
    """SQL, in one line because it may stand in a comment: all versions of [since, until]."""
    begins, start, end = BEGINS.get(table, "landed_at"), literal(since), literal(until)
    names = [column.name for column in contracts.load(table).columns]
    listed = ", ".join(quoted(name) for name in names if name not in BEGINS.values())
    return (
        f"(SELECT {listed}, {begins} AS valid_from, NULL::timestamptz AS valid_to FROM {table}"
        f" WHERE {begins} <= {end}::timestamptz UNION ALL"
        f" SELECT {listed}, valid_from, valid_to FROM {table}_history"
        f" WHERE valid_from <= {end}::timestamptz AND valid_to > {start}::timestamptz)"
    )
