"""The one contract that the reader of every dialect keeps."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from include import copying, warehouse
from include.errors import ConfigError
from include.sources import Entity, Source


@dataclass(frozen=True)
class Clock:
    """Before ``moment`` every change is committed, by the source's own clock."""

    moment: datetime
    now: datetime
    held_by: str | None = None  # who keeps the moment behind now, in words


@dataclass(frozen=True)
class Position:
    """The last row of a batch: its cursor as staged (None where there is none), and its key."""

    cursor: str | None
    key: str


@dataclass(frozen=True)
class Window:
    """Which rows of an entity to read; empty: all of them.

    Rows without a value in the cursor are in every window but one with ``most_rows``.
    """

    lower: datetime | None = None  # changed at or after it
    upper: datetime | None = None  # changed before it; only a backfill ends before now
    ranges: tuple[int, ...] | None = None  # only these of the key's ``RANGES``
    after: Position | None = None  # only rows beyond it, in the order (cursor, key)
    most_rows: int | None = None  # at most so many, in the order (cursor, key)
    undated: bool = False  # only rows without a value in the cursor


RANGES = 256
"""Key ranges of a reconciliation: the first two hexadecimal digits of the key's MD5."""


@dataclass(frozen=True)
class Staged:
    """A column of the staging table: its type there; text is converted in the warehouse."""

    name: str
    type: str
    select: str  # its expression in the source, over the query's columns
    exact: bool = False  # can only be a value of the landing column's own type


class Reader(Protocol):
    """What landing asks of a source; one object an open, read-only, repeatable connection."""

    dialect: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def shape(self, select: str) -> dict[str, str]:
        """The columns of a query and their types in the source's words; runs no row of it."""

    def clock(self) -> Clock:
        """The safe upper watermark, by the source's clock."""

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """How each wanted column (canonical name -> warehouse type) is staged."""

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> copying.Copied:
        """Copy the rows of ``window`` into ``table``, whose columns are ``staged``."""


def missing_column(source: Source, error: Exception) -> ConfigError:
    """A database's own words on a query it cannot run, as one line with the next step."""
    said = " ".join(str(error).split())
    return ConfigError(f"{source.name}.yaml: {said}; mend the select, or ask for the right to read")
