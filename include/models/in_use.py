"""Whether a stored version can still be used, and what it looks at."""

from importlib import metadata

import pandas as pd

from include.models import store
from include.models.base import fitted_features
from include.models.registry import Champion

LIBRARIES = ("scikit-learn", "lightgbm", "numpy", "scipy", "pandas", "skops")
FITTING = ("scikit-learn", "lightgbm")  # of another version, what they fitted is not loaded


def libraries() -> dict[str, str]:
    """The versions that decide what a fit gives."""
    return {name: metadata.version(name) for name in LIBRARIES}


def horizon(champion: Champion) -> int:
    """How far a stored model looks, in days."""
    return int(champion.card["made_of"]["parameters"]["horizon_days"])


def outdated(champion: Champion, profiles: pd.DataFrame) -> str | None:
    """Why a stored model cannot score these profiles, in words; None when it can."""
    used, installed = champion.card["made_of"]["libraries"], libraries()
    for name in FITTING:
        if used.get(name, installed[name]) != installed[name]:
            return f"fitted by {name} {used[name]}, installed is {installed[name]}"
    fitted = fitted_features(store.loads(champion.artifact or b"")["published"])
    gone = [name for name in fitted if name not in profiles]
    return f"{', '.join(gone)} is no longer in the profile" if gone else None
