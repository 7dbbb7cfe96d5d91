"""What is measured, written once in ``metrics.yaml``; ``contracts`` makes views of it."""

from functools import cache
from pathlib import Path

from pydantic import Field

from include import listed
from include.domains import Strict

FILE = Path(__file__).with_name("metrics.yaml")


class Metric(Strict):
    """One figure: what it says, for whom, and the SELECT that gives it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    label: str
    unit: str
    owner: str
    description: str
    sql: str = Field(min_length=1)
    grain: dict[str, str] = Field(
        default_factory=dict
    )  # column -> PostgreSQL type; none: one value for all


@cache
def load(file: Path = FILE) -> tuple[Metric, ...]:
    """Read the metrics, in the order of the file.

    Raises
    ------
    ConfigError
        Naming the metric and the key that cannot be used.
    """
    return listed.read(file, Metric, what="metric", advice="mend the file")
