"""What the steps of one load share."""

from dataclasses import dataclass

from include import warehouse
from include.contracts import Table
from include.landing.readers import Reader, Staged
from include.sources import Entity, Source

STAGING, CHECKED = "pg_temp.portrait_staging", "pg_temp.portrait_checked"
DELTA = "pg_temp.portrait_delta"  # what is new or changed, and the place of its old version


@dataclass(frozen=True)
class Job:
    """One table of one source, in one transaction, under one lock."""

    source: Source
    entity: Entity  # as the mapping says, adapted to what changed in the source
    table: Table
    db: warehouse.Connection
    run_id: str
    started: float  # monotonic seconds

    @property
    def part(self) -> str:
        """The source's own partition of the landing table."""
        return f"{self.table.full_name}__{self.source.name}"

    @property
    def key_type(self) -> str:
        """The type of ``source_id``, with the collation that the landing table has."""
        row = self.db.execute(
            """SELECT quote_ident(collname) FROM pg_attribute
               JOIN pg_collation ON pg_collation.oid = attcollation AND collname <> 'default'
               WHERE attrelid = %s::regclass AND attname = 'source_id'""",
            [self.table.full_name],
        ).fetchone()
        return f"text COLLATE {row[0]}" if row else "text"

    @property
    def kept(self) -> frozenset[str]:
        """Columns that are gone from the source, whose landed values stay."""
        return frozenset()


@dataclass(frozen=True)
class Visit(Job):
    """A job with its source open."""

    reader: Reader
    shape: dict[str, str]  # the select's columns and their types now
    gone: frozenset[str]  # columns that the last load had

    @property
    def kept(self) -> frozenset[str]:
        """Columns that are gone from the source, whose landed values stay."""
        return self.gone if self.source.changes.dropped == "ignore" else frozenset()


def create_staging(work: Job, staged: list[Staged]) -> None:
    """The temporary table that a window is copied into."""
    types = {column.name: column.type for column in staged} | {"source_id": work.key_type}
    listed = ", ".join(f"{warehouse.quoted(name)} {kind}" for name, kind in types.items())
    work.db.execute(warehouse.text(f"CREATE TEMP TABLE portrait_staging ({listed}) ON COMMIT DROP"))
