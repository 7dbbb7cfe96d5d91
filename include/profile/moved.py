"""Whose facts differ between two profiles: the customers to be computed again."""

import logging
from datetime import date

import duckdb

log = logging.getLogger(__name__)

# Which days count, by entity and column, and the windows (days before as_of) that they can leave.
# A window that a theme adds must be added here: tests/profile/test_moved.py finds what is missing.
DATED = {
    ("customer", "signup_on"): (0,),
    ("customer_order", "ordered_on"): (0,),
    ("order_line", "ordered_on"): (0, 7, 30, 90, 180, 365),
    ("interaction", "happened_on"): (0, 30, 90),
    ("ticket", "opened_on"): (0, 90, 365),
    ("ticket", "CAST(first_answer_at AS date)"): (0,),
    ("ticket", "closed_on"): (0,),
    ("feedback", "given_on"): (0, 365),
    ("consent", "given_on"): (0,),
}
# What the profile's SQL reads of the order lines.
LINE = (
    "customer_id, order_id, product_id, is_product, ordered_at, ordered_on, quantity, discount, "
    "amount"
)
MOST = 0.3  # share of the customers from which on it is cheaper to compute all


def narrow(db: duckdb.DuckDBPyConnection, as_of: date, base_day: date, *, touched: bool) -> bool:
    """Make the table ``changed`` and replace each entity by the rows of those customers.

    Parameters
    ----------
    db : an open snapshot.
    as_of, base_day : the day to compute and the day of the profile that is there.
    touched : whether the customers of the snapshot's table ``touched`` changed too; not, if both
        profiles are of this snapshot.

    Returns
    -------
    False, with nothing replaced, if more than ``MOST`` of the customers changed.
    """
    selects = ["SELECT customer_id FROM touched"] if touched else []
    if as_of != base_day:
        selects += [
            f"SELECT customer_id FROM {entity} WHERE {_between(column, as_of, base_day, windows)}"
            for (entity, column), windows in DATED.items()
        ]
    selects = selects or ["SELECT NULL::bigint AS customer_id WHERE false"]
    db.execute(
        "CREATE TEMP TABLE changed AS SELECT DISTINCT customer_id "
        f"FROM ({' UNION ALL '.join(selects)}) WHERE customer_id IS NOT NULL"
    )
    count = "SELECT (SELECT count(*) FROM changed), count(DISTINCT customer_id) FROM customer"
    changed, everyone = db.execute(count).fetchone() or (0, 0)
    if changed > MOST * everyone:
        log.info("%d of %d customers changed: all are computed", changed, everyone)
        return False
    log.info("%d of %d customers changed and are computed", changed, everyone)
    restrict(db, "SEMI JOIN changed USING (customer_id)", kept=True)
    return True


def restrict(db: duckdb.DuckDBPyConnection, which: str, *, kept: bool = False) -> None:
    """Leave in the entities of an open snapshot those of some customers; again at will.

    Parameters
    ----------
    which : what stands behind FROM, as ``WHERE customer_id % 4 = 1``.
    kept : keep the order lines, which are read three times; worth it where they are few.
    """
    for entity in dict.fromkeys(entity for entity, _ in DATED):
        lines = kept and entity == "order_line"
        kind, columns = ("TEMP TABLE", LINE) if lines else ("VIEW", "*")
        db.execute(
            f"CREATE OR REPLACE {kind} {entity} AS SELECT {columns} FROM every_{entity} {which}"
        )


def _between(column: str, one: date, other: date, windows: tuple[int, ...]) -> str:
    """A day is seen, or in the window, on one of the two days but not on the other."""
    early, late = (f"DATE '{day}'" for day in sorted((one, other)))
    return " OR ".join(
        f"({column} >= {early} - {days} AND {column} < {late} - {days})" for days in windows
    )
