"""CRM rows into canonical tables: read, checked, applied in one transaction a table."""

from include.landing.load import Loaded, load, newest_order, require_order_before

__all__ = ["Loaded", "load", "newest_order", "require_order_before"]
