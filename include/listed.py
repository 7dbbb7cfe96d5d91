"""A list that people write in YAML, such as ``audiences.yaml``, read as frozen models."""

from collections import Counter
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from include.errors import ConfigError


class Named(Protocol):
    """What an entry of a list has."""

    @property
    def name(self) -> str:
        """Its name, which stands in the list once."""


T = TypeVar("T", bound=Named)


def read(file: Path, kind: type[T], *, what: str, advice: str) -> tuple[T, ...]:
    """Read the entries, in the order of the file; an empty file has none.

    Parameters
    ----------
    what : an entry without a name, in the words of an error: ``audience``.
    advice : the next step.

    Raises
    ------
    ConfigError
        Naming the file, the entry and the key that cannot be used.
    """
    try:
        raw = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader) or []
        every: Any = tuple[kind, ...]  # type: ignore[valid-type]
        found: tuple[T, ...] = TypeAdapter(every).validate_python(raw)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{file.name}: not YAML: {said}; {advice}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, [_named(raw, what, *first["loc"][:1]), *first["loc"][1:]]))
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{file.name}: {where}: {said}; {advice}") from error
    counts = Counter(entry.name for entry in found)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise ConfigError(f"{file.name}: {twice[0]}: stands there twice; give one another name")
    return found


def _named(raw: Any, what: str, number: int | str = 0) -> str:
    """What the entry at this place calls itself, or its place."""
    at_place = raw[number] if isinstance(raw, list) and isinstance(number, int) else None
    named = at_place.get("name") if isinstance(at_place, dict) else None
    return named if isinstance(named, str) else f"{what} {number}"
