"""Features in words, as they stand on an axis: through their contracts, else by their names."""

import textwrap
from collections.abc import Sequence

from include import domains, profile
from include.contracts import Column
from include.models.reasons import label

NO_UNIT = ("ratio", "share", "count", "")


def feature(name: str, own: Sequence[Column] = ()) -> str:
    """What a feature is, without its unit: ``Time since the last order``.

    ``own`` are the columns that a model adds to those of the profile.
    """
    column = _contract(own).get(name)
    return label(column.description) if column else name.replace("_", " ")


def axis(name: str, own: Sequence[Column] = ()) -> str:
    """What a feature is, with its unit: ``Time since the last order (days)``."""
    column, said = _contract(own).get(name), feature(name, own)
    unit = (column.unit if column else None) or ""
    if unit in NO_UNIT or unit in said.lower().split():
        return said
    return f"{said} ({domains.load().currency if unit == 'currency' else unit})"


def _contract(own: Sequence[Column]) -> dict[str, Column]:
    return {column.name: column for column in (*profile.features(), *own)}


def two_lines(text: str, width: int = 38) -> str:
    """A long text as two lines at most."""
    return "\n".join(textwrap.wrap(text, width, max_lines=2, placeholder=" …"))
