"""What is measured, written once in ``metrics.yaml``; ``contracts`` makes views of it."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from include.errors import ConfigError

FILE = Path(__file__).with_name("metrics.yaml")


class Metric(BaseModel):
    """One figure: what it says, for whom, and the SELECT that gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    label: str
    unit: str
    owner: str
    description: str
    sql: str = Field(min_length=1)
    grain: dict[str, str] = {}  # column -> PostgreSQL type; none: one value for all


@cache
def load(file: Path = FILE) -> tuple[Metric, ...]:
    """Read the metrics, in the order of the file.

    Raises
    ------
    ConfigError
        Naming the metric and the key that cannot be used.
    """
    raw = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
    try:
        found = TypeAdapter(tuple[Metric, ...]).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        number, *key = map(str, first["loc"] or (0,))
        if isinstance(raw, list) and number.isdigit():
            number = str(raw[int(number)].get("name", number))
        where = ".".join([number, *key])
        raise ConfigError(f"{file.name}: {where}: {first['msg'].lower()}; fix the file") from error
    names = [metric.name for metric in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{file.name}: {twice[0]} stands there twice; give one another name")
    return found
