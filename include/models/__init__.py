"""Learns from dated profiles and scores each customer; refused when it does not beat the obvious.

A model is a module with a class that keeps the promises of ``base.Model`` and one line in
``MODELS``; an algorithm is one line in ``ALGORITHMS``. Segments and value are modules of their own
behind the same gate and registry.
"""

from collections.abc import Callable

from include.models.base import ALGORITHMS, Model
from include.models.churn import Churn
from include.models.purchase import Purchase

__all__ = ["ALGORITHMS", "MODELS", "Model"]

MODELS: dict[str, Callable[..., Model]] = {
    Churn.name: Churn,
    Purchase.name: Purchase,
}
