"""CRM rows into canonical tables: read, checked, applied in one transaction a table."""

from include.landing.load import Loaded, load, newest_order

__all__ = ["Loaded", "load", "newest_order"]
