"""Features in words, as they stand on an axis: through their contracts, else by their names."""

import textwrap

from include import domains, profile
from include.models.reasons import label

NO_UNIT = ("ratio", "share", "count", "")


def feature(name: str) -> str:
    """What a feature is, without its unit: ``Time since the last order``."""
    contract = {column.name: column for column in profile.features()}
    return label(contract[name].description) if name in contract else name.replace("_", " ")


def axis(name: str) -> str:
    """What a feature is, with its unit: ``Time since the last order (days)``."""
    units = {column.name: column.unit or "" for column in profile.features()}
    said, unit = feature(name), units.get(name, "")
    if unit in NO_UNIT or unit in said.lower().split():
        return said
    return f"{said} ({domains.load().currency if unit == 'currency' else unit})"


def two_lines(text: str, width: int = 38) -> str:
    """A long text as two lines at most."""
    return "\n".join(textwrap.wrap(text, width, max_lines=2, placeholder=" …"))
