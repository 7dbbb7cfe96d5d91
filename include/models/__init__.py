"""Learns from dated profiles and scores each customer; refused when it does not beat the obvious.

A model is a module with a class that keeps the promises of ``base.Model`` and one line in
``MODELS``; an algorithm is one line in ``ALGORITHMS``. Segments and value are modules of their own
behind the same gate and registry.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from include.errors import InputError
from include.models import need
from include.models.base import ALGORITHMS, Model
from include.models.campaign import Campaign
from include.models.churn import Churn
from include.models.high_value import HighValue
from include.models.need import Need
from include.models.purchase import Purchase

__all__ = ["ALGORITHMS", "MODELS", "Model", "known", "make", "wanted"]

MODELS: dict[str, Callable[..., Model]] = {
    Churn.name: Churn,
    Purchase.name: Purchase,
    HighValue.name: HighValue,
    Campaign.name: Campaign,
    need.KIND: Need,  # one model a category: need:<category>
}


def wanted(folder: Path, as_of: date) -> list[str]:
    """The models to train and to score by, for a snapshot and a day: always in this order.

    Need has one a category, of those that most customers buy of on that day. A champion of a
    category that is not among them any more neither scores nor is trained again.
    """
    alone = [name for name in MODELS if name != need.KIND]
    return [*alone, *(f"{need.KIND}:{name}" for name in need.categories(folder, as_of))]


def known(name: str) -> bool:
    """Whether ``make`` knows the name; what an older version recorded may have another."""
    kind, _, category = name.partition(":")
    return kind in MODELS and (kind == need.KIND) == bool(category)


def make(name: str, algorithm: str = "logistic", **settings: Any) -> Model:
    """An unfitted model by its name, as ``wanted`` gives it; ``settings`` are its other fields.

    Raises
    ------
    InputError
        If no model has that name.

    >>> make("need:Wine").name
    'need:Wine'
    """
    if not known(name):
        names = [f"{kind}:<category>" if kind == need.KIND else kind for kind in MODELS]
        raise InputError(f"model {name!r} is unknown; give one of {', '.join(names)}")
    kind, _, category = name.partition(":")
    own = {"category": category} if category else {}
    return MODELS[kind](algorithm, **own, **settings)
