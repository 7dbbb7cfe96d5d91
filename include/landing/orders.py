"""The newest landed order, and whether a day has any before it."""

import logging
from datetime import datetime

from include import domains, warehouse
from include.errors import InputError

log = logging.getLogger(__name__)


def newest_order(db: warehouse.Connection, *, before: datetime | None = None) -> datetime | None:
    """The newest landed order's moment (before ``before``), or None when there is none.

    Quotes, cancelled and other orders that were not meant (by the domain) do not count.
    """
    row = db.execute(
        """SELECT max(ordered_at) FROM landing.customer_order
           WHERE deleted_at IS NULL AND (status = ANY(%(not_meant)s)) IS NOT TRUE
           AND (%(before)s::timestamptz IS NULL OR ordered_at < %(before)s)""",
        {"before": before, "not_meant": list(domains.load().test_order_statuses)},
    ).fetchone()
    return None if row is None else row[0]


def require_order_before(db: warehouse.Connection, moment: datetime) -> None:
    """Refuse a day before the first landed order, and a warehouse without a single customer.

    Without any order there is no such day: profiles are empty then, and still of use.

    Raises
    ------
    InputError
        Naming the first order's day, or what is empty.
    """
    row = db.execute(
        """SELECT min(ordered_at) FROM landing.customer_order
           WHERE deleted_at IS NULL AND (status = ANY(%s)) IS NOT TRUE""",
        [list(domains.load().test_order_statuses)],
    ).fetchone()
    first = None if row is None else row[0]
    if first is None and not db.execute("SELECT FROM landing.customer LIMIT 1").fetchall():
        raise InputError(
            "landing.customer is empty, so there is nobody to portray: look at the selects of the "
            "sources that are on, then run again; what BI reads stays"
        )
    if first is None:
        log.warning("no order has landed: profiles will hold no behaviour; map customer_order")
    elif first >= moment:
        raise InputError(
            f"as_of {moment:%Y-%m-%d} is before any order, the first is of {first:%Y-%m-%d}: "
            "give a later day or none"
        )
