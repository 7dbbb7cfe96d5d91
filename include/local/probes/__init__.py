"""What the databases of the sources say of themselves; one module a dialect."""

from include import connections
from include.local.probes.contract import Attempt, Probe, Relation, Server
from include.local.probes.mysql import MysqlProbe
from include.local.probes.postgres import PostgresProbe
from include.local.probes.sqlite import SqliteProbe

__all__ = ["Attempt", "Probe", "Relation", "Server", "open_probe"]

PROBES: dict[str, type[PostgresProbe | MysqlProbe | SqliteProbe]] = {
    "postgres": PostgresProbe,
    "mysql": MysqlProbe,
    "sqlite": SqliteProbe,
}


def open_probe(connection_id: str) -> Probe:
    """Connect to a source's database; a ResourceError says why that does not work."""
    return PROBES[connections.address(connection_id).dialect](connection_id)
