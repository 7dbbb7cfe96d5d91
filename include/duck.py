"""DuckDB in this process, within bounds of memory and disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from include.errors import ResourceError

MEMORY_LIMIT, SPILL_LIMIT = "1.5GB", "20GB"


def quoted(path: Path) -> str:
    """``path`` as a text inside a query."""
    return "'" + str(path).replace("'", "''") + "'"


@contextmanager
def opened(
    what: str, *, threads: int = 2, beside: Path | None = None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """An empty database, and a scratch folder that goes with it.

    Parameters
    ----------
    what : is made with it, in the words of an error.
    beside : the folder in which the scratch folder is made; None: that of the system.

    Raises
    ------
    ResourceError
        If MEMORY_LIMIT and SPILL_LIMIT, or the disk, do not suffice.
    """
    with tempfile.TemporaryDirectory(dir=beside, prefix=".portrait_") as scratch:
        settings: dict[str, Any] = {
            "threads": threads,
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": scratch,
            "autoinstall_known_extensions": False,  # nothing is fetched at run time
        }
        with duckdb.connect(config=settings) as db:
            # in the configuration DuckDB 2.0 takes this limit, shows it and does not keep to it
            db.execute(f"SET max_temp_directory_size = '{SPILL_LIMIT}'")
            db.execute("SET enable_progress_bar = false")  # it would draw into a task's log
            try:
                yield db, Path(scratch)
            except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
                raise ResourceError(
                    f"{what} cannot be made: {_reason(error)}; "
                    "make room, then run again; nothing was lost"
                ) from error


def _reason(error: duckdb.Error) -> str:
    """What DuckDB lacked; of a full disk it tells at the end of a long text."""
    said = " ".join(str(error).split())
    if "No space left on device" in said:
        return "No space left on device"
    if "max_temp_directory_size" in said:
        return f"needs more than {MEMORY_LIMIT} of memory and {SPILL_LIMIT} of disk"
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"needs more than {MEMORY_LIMIT} of memory"
    return said[:200]
