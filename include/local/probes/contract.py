"""The questions that ``make doctor`` puts to a source's database, whatever its dialect."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

STATEMENT_SECONDS = 5
"""No question is worth more of a busy CRM's time."""


@dataclass(frozen=True)
class Server:
    """What is said of a server in one line, and how far its clock is ahead of this machine's."""

    said: str
    ahead_seconds: float
    warning: str | None = None  # on its encoding


@dataclass(frozen=True)
class Relation:
    """A table or view of the catalog."""

    schema: str
    name: str
    sql: str  # quoted, as the account has to write it
    near: bool = True  # found without its schema
    view: bool = False  # or a foreign table: its indexes are elsewhere
    hint: str = ""  # after CREATE INDEX

    @property
    def said(self) -> str:
        """Its name as a mapping would write it, unquoted."""
        return self.name if self.near else f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Attempt:
    """A query without its rows: the columns that it gives, or why the database refuses it."""

    columns: tuple[str, ...] = ()
    refused: Literal["missing", "denied", "slow", "other"] | None = None
    said: str = ""


class Probe(Protocol):
    """One open connection that can only read; each question is answered within seconds."""

    dialect: str

    @property
    def errors(self) -> type[Exception]:
        """What the driver raises when the server stops answering."""

    def close(self) -> None:
        """End the connection."""

    def server(self) -> Server:
        """Version, encoding, clock."""

    def notes(self) -> Iterator[str]:
        """What the account may see and do, as far as a load minds."""

    def attempt(self, select: str) -> Attempt:
        """Try a query as a load would put it, for no rows."""

    def relations(self) -> list[Relation]:
        """Every table and view that the catalog shows to the account."""

    def columns(self, relation: Relation) -> list[str]:
        """The names of its columns."""

    def grant(self, tables: list[str]) -> str:
        """The statement by which the account gets to read ``tables``, as written in SQL."""

    def rows(self, select: str) -> int | None:
        """How many rows a query gives: estimated where counting is dear; None: cannot tell."""

    def indexed(self, relation: Relation, column: str) -> bool:
        """Whether an index over all its rows begins with the column."""

    def quoted(self, name: str) -> str:
        """A name as the dialect writes identifiers."""


def ahead_seconds(ask: Callable[[], float]) -> float:
    """How far the clock that ``ask`` reads (Unix seconds) is ahead of this machine's."""
    before = time.time()
    answered = ask()
    return answered - (before + time.time()) / 2
