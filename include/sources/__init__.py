"""How each CRM is read: one ``<name>.yaml`` a system, its queries in that system's own dialect.

A source is on when ``AIRFLOW_CONN_<CONNECTION>`` is set; ``PORTRAIT_SOURCES="a b"`` narrows it.
"""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from zoneinfo import available_timezones

import yaml
from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from include.connections import variable
from include.domains import Strict
from include.errors import ConfigError, InputError

HERE = Path(__file__).parent
ENTITIES = (
    "customer",
    "product",
    "customer_order",
    "order_line",
    "interaction",
    "ticket",
    "feedback",
    "consent",
)


Policy = Literal["evolve", "ignore", "freeze"]


class SoftDelete(Strict):
    """Rows are marked in ``column`` (true, 1 or a time) and stay."""

    column: str


def _known(zone: str) -> str:
    if zone not in available_timezones():
        near = get_close_matches(zone, available_timezones(), 1)
        raise ValueError(f"{zone!r} is no time zone{f'; nearest: {near[0]}' if near else ''}")
    return zone


class Changes(Strict):
    """What to do when the columns of a source change.

    evolve: follow it (a new column of the select is kept in pass_through; one that is gone
    becomes null; another type is converted, what does not fit is set aside). ignore: leave out
    what is new, keep what was landed of what is gone, convert. freeze: stop and say so.
    """

    added: Policy = "ignore"
    dropped: Policy = "freeze"
    retyped: Policy = "evolve"


class Entity(Strict):
    """How one canonical entity is read."""

    select: str
    key: str = "source_id"
    cursor: str | None = None  # None: compare every row
    deletes: SoftDelete | Literal["sweep", "none"] = "none"
    pass_through: tuple[str, ...] = ()
    time_zones: dict[str, str] = Field({})  # of single columns, where they differ from the source's

    @field_validator("select")
    @classmethod
    def one_query(cls, select: str) -> str:
        """Without the semicolon at its end, and with a comment ended: it becomes a subquery."""
        return select.strip().rstrip(";").strip() + (
            "\n" if "--" in select or "#" in select else ""
        )

    @field_validator("time_zones")
    @classmethod
    def known_zones(cls, zones: dict[str, str]) -> dict[str, str]:
        """Zones that both Python and PostgreSQL know."""
        return {column: _known(zone) for column, zone in zones.items()}

    @model_validator(mode="after")
    def keyed(self) -> "Entity":
        """The select gives the key under its canonical name."""
        if self.key != "source_id":
            raise ValueError("key must be source_id: alias the key so in the select")
        return self


class Source(Strict):
    """One system: where it is, when it is read, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    connection: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    schedule: str | None = None
    reconcile: str | None = "0 4 * * 0"  # when all of it is compared; None: by hand
    time_zone: str = "UTC"
    person_key: str | None = None
    changes: Changes = Changes()
    lookback_minutes: float = Field(10, ge=0)
    stall_alarm_minutes: float = Field(60, gt=0)
    sweep_every_hours: float = Field(0, ge=0)
    most_vanishing_percent: float = Field(30, ge=0, le=100)
    most_quarantined_percent: float = Field(50, ge=0, le=100)
    quarantine_days: int = Field(90, ge=1)
    batch_rows: int | None = Field(None, ge=1)
    rounding: Literal["keep", "set_aside"] = "keep"  # more than six digits after the point
    bad_text: Literal["set_aside", "strip"] = "set_aside"  # NUL, or not UTF-8
    entities: dict[str, Entity] = Field(min_length=1)

    def zone(self, entity: Entity, column: str) -> str:
        """The time zone of a column's times without an offset."""
        return entity.time_zones.get(column, self.time_zone)

    @field_validator("time_zone")
    @classmethod
    def known_zone(cls, zone: str) -> str:
        """A zone that both Python and PostgreSQL know."""
        return _known(zone)

    @field_validator("schedule", "reconcile")
    @classmethod
    def valid_cron(cls, schedule: str | None) -> str | None:
        """A bad cron string would lose its DAG at parse time, with no more than an import error."""
        from croniter import croniter

        if schedule is not None and not croniter.is_valid(schedule):
            raise ValueError(f"{schedule!r} is no cron expression")
        return schedule

    @field_validator("entities")
    @classmethod
    def canonical(cls, entities: dict[str, Entity]) -> dict[str, Entity]:
        """Only entities of our model, in its order."""
        for entity in entities:
            if entity not in ENTITIES:
                raise ValueError(f"{entity!r} is no entity; known: {', '.join(ENTITIES)}")
        return {entity: entities[entity] for entity in ENTITIES if entity in entities}


def load(name: str, folder: Path = HERE) -> Source:
    """Read ``<name>.yaml``; a ConfigError names the file, the entity and the key at fault."""
    path = folder / f"{name}.yaml"
    if not path.exists():
        raise ConfigError(f"{path.name}: no such mapping; known: {', '.join(names(folder))}")
    try:
        raw = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        return Source.model_validate({**raw, "name": name} if isinstance(raw, dict) else raw)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole file"
        raise ConfigError(
            f"{path.name}: {key}: {first['msg'].lower()}; shop.yaml is a complete example"
        ) from error


def names(folder: Path = HERE) -> list[str]:
    """Every mapping there is, on or off."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _connection(path: Path) -> str:
    """The connection that a mapping names, even where the rest of it is broken."""
    try:
        raw: Any = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return path.stem
    found = raw.get("connection") if isinstance(raw, dict) else None
    return found if isinstance(found, str) else path.stem


def switched_on(folder: Path = HERE) -> list[str]:
    """The sources whose connection is set, narrowed by ``PORTRAIT_SOURCES``."""
    on = [
        name
        for name in names(folder)
        if variable(_connection(folder / f"{name}.yaml")) in os.environ
    ]
    chosen = os.environ.get("PORTRAIT_SOURCES", "").split()
    return [name for name in on if not chosen or name in chosen]


def chosen(wanted: str, folder: Path = HERE) -> list[str]:
    """The names in ``wanted`` (blanks between), each known and switched on."""
    on = switched_on(folder)
    for name in wanted.split():
        if name not in names(folder):
            raise InputError(f"SOURCES: no source {name!r}; known: {', '.join(names(folder))}")
        if name not in on:
            needed = variable(_connection(folder / f"{name}.yaml"))
            raise InputError(f"SOURCES: {name} is off; set {needed} to switch it on")
    return wanted.split() or on


def check_read_only(source: Source, dialect: str) -> None:
    """Refuse a mapping whose query is more than one reading query.

    Raises
    ------
    ConfigError
        Naming the entity, where its tree holds a data change, INTO, a lock or a command.
    """
    import sqlglot
    from sqlglot import exp

    writing = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Set, exp.Drop, exp.Alter)
    for name, entity in source.entities.items():
        where = f"{source.name}.yaml: entities.{name}.select"
        try:
            trees = sqlglot.parse(entity.select, read={"sqlserver": "tsql"}.get(dialect, dialect))
        except sqlglot.errors.ParseError as error:
            said = error.errors[0]["description"] if error.errors else str(error)
            raise ConfigError(f"{where}: not SQL of {dialect}: {said}; mend the query") from error
        if len(trees) != 1 or not isinstance(trees[0], exp.Query):
            raise ConfigError(f"{where}: must be one SELECT; put everything into one query")
        for node in trees[0].walk():
            if isinstance(node, writing) and not isinstance(node, exp.Query):
                raise ConfigError(
                    f"{where}: holds {type(node).__name__.upper()}; a mapping only reads"
                )
