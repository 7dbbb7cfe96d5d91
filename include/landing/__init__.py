"""CRM rows into canonical tables: read, checked, applied in one transaction a table."""

from include.landing.load import backfill, load
from include.landing.orders import newest_order, require_order_before
from include.landing.reconcile import reconcile
from include.landing.replay import replay
from include.landing.state import Loaded

__all__ = [
    "Loaded",
    "backfill",
    "load",
    "newest_order",
    "reconcile",
    "replay",
    "require_order_before",
]
