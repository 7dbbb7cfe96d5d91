"""What is compared and how, read from YAML: a source with other fields needs no code."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.errors import ConfigError

HERE = Path(__file__).parent
LANDING = HERE / "fields.yaml"


class Strict(BaseModel):
    """Frozen, unknown keys forbidden: what is read from YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kind(Strict):
    """How the values of a field are cleaned and compared; see kinds.yaml."""

    clean: str
    keep: str = "said({f})"
    levels: tuple[str, ...] = Field(min_length=1)
    also: dict[str, str] = {}
    junk: float | None = None


class Compared(Strict):
    """One field of a record."""

    kind: str
    value: str | None = None  # None: the column of the field's own name
    swap: str | None = None  # the field that it is mixed up with
    country: str | None = None  # of a phone: the column or expression that tells its country


class Fields(Strict):
    """The fields, and which pairs of records are looked at."""

    columns: tuple[str, ...] = ()  # of landing.customer; a file is read whole
    id: str = "id"  # of a file: the column that names a record
    link: float = Field(0.9, gt=0.5, lt=1)  # of a file: from this probability on two are one
    most: int = Field(20, ge=2)  # records that likeness may join into one
    fields: dict[str, Compared] = Field(min_length=2)
    blocks: tuple[tuple[str, ...], ...] = Field(min_length=1)
    train: tuple[tuple[str, ...], ...] = Field(min_length=2)
    sure: tuple[tuple[str, ...], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def known(self) -> "Fields":
        """Every kind and every part of a block is there."""
        for name, field in self.fields.items():
            if field.kind not in kinds():
                raise ValueError(f"fields.{name}.kind is {field.kind}: {', '.join(kinds())}")
            if field.swap and field.swap not in self.fields:
                raise ValueError(f"fields.{name}.swap is {field.swap}, which is no field")
        there = {*self.fields, *(f"{f}__{a}" for f in self.fields for a in self.kind(f).also)}
        for part in {part for rule in (*self.blocks, *self.train, *self.sure) for part in rule}:
            if part not in there:
                raise ValueError(f"a block names {part}: {', '.join(sorted(there))}")
        for name in self.fields:
            if all(name in {part.split("__")[0] for part in rule} for rule in self.train):
                raise ValueError(f"train: no rule leaves out {name}, so it cannot be learnt")
        return self

    def kind(self, field: str) -> Kind:
        """The kind of ``field``."""
        return kinds()[self.fields[field].kind]


@cache
def kinds() -> dict[str, Kind]:
    """The kinds of kinds.yaml."""
    raw = yaml.safe_load((HERE / "kinds.yaml").read_bytes())
    return {name: Kind.model_validate(kind) for name, kind in raw.items()}


@cache
def roots() -> dict[str, list[str]]:
    """The full forms that a short form of a given name may stand for."""
    found: dict[str, list[str]] = {}
    for name, short in yaml.safe_load((HERE / "nicknames.yaml").read_bytes()).items():
        for nickname in short:
            found.setdefault(nickname, []).append(name)
    return found


def load(path: Path = LANDING) -> Fields:
    """Read ``path``; a ConfigError names the file and the key at fault."""
    try:
        return Fields.model_validate(yaml.safe_load(path.read_bytes()))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole file"
        raise ConfigError(
            f"{path.name}: {key}: {first['msg'].lower()}; "
            "include/identity/fields.yaml is a complete example"
        ) from error


def comparisons(fields: Fields) -> list[dict[str, Any]]:
    """What splink is told of each field: null, the kind's levels, else."""
    return [_comparison(name, field, fields.kind(name)) for name, field in fields.fields.items()]


def _comparison(name: str, field: Compared, kind: Kind) -> dict[str, Any]:
    levels: list[dict[str, Any]] = [
        {
            "sql_condition": f"{name}_l IS NULL OR {name}_r IS NULL",
            "label_for_charts": "missing",
            "is_null_level": True,
        }
    ]
    for level in kind.levels:
        if "{swap}" in level and not field.swap:
            continue
        condition = level.format(f=name, swap=field.swap)
        levels.append({"sql_condition": condition, "label_for_charts": condition})
    levels.append({"sql_condition": "ELSE", "label_for_charts": "different"})
    return {"output_column_name": name, "comparison_levels": levels}
