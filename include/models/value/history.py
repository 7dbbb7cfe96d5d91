"""What a customer bought up to a day, in the figures that value is worked out from; and after it.

A purchase is a day with a positive line: orders of one day count once. Its worth is all that
changed hands that day; the mean of a customer is net of returns, whenever they came.
"""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from include import duck

DAYS_A_WEEK = 7
NET = "sum(quantity * unit_price - coalesce(discount, 0))"


def history(folder: Path, as_of: date) -> pd.DataFrame:
    """One row a buyer before ``as_of``, index customer_id ascending, times in weeks.

    Columns: repeats (days with a purchase after the first), last (weeks from the first to the
    last), age (weeks since the first), count (all such days), mean_value (net money a day, at
    least 0).
    """
    rows = _frame(
        f"""SELECT customer_id,
                count(DISTINCT ordered_on) FILTER (WHERE quantity > 0) AS count,
                max(ordered_on) FILTER (WHERE quantity > 0)
                    - min(ordered_on) FILTER (WHERE quantity > 0) AS last,
                CAST(? AS date) - min(ordered_on) FILTER (WHERE quantity > 0) AS age,
                {NET} AS revenue
            FROM {_lines(folder)} WHERE customer_id IS NOT NULL AND ordered_on < ?
            GROUP BY customer_id HAVING count(*) FILTER (WHERE quantity > 0) > 0
            ORDER BY customer_id""",
        [as_of, as_of],
    )
    return pd.DataFrame({
        "repeats": rows["count"] - 1,
        "last": rows["last"] / DAYS_A_WEEK,
        "age": rows["age"] / DAYS_A_WEEK,
        "count": rows["count"],
        "mean_value": (rows["revenue"] / rows["count"]).clip(lower=0),
    })


def spent(folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.DataFrame:
    """What each customer did in [as_of, as_of + days): orders (days with one) and net revenue.

    Who only brought something back spent less than nothing.
    """
    rows = _frame(
        f"""SELECT customer_id,
                count(DISTINCT ordered_on) FILTER (WHERE quantity > 0) AS orders, {NET} AS revenue
            FROM {_lines(folder)}
            WHERE customer_id IS NOT NULL AND ordered_on >= ? AND ordered_on < ?
            GROUP BY customer_id""",
        [as_of, as_of + timedelta(days=days)],
    )
    return rows.reindex(customers, fill_value=0.0)


def _frame(query: str, values: list[date]) -> pd.DataFrame:
    with duck.opened("value: the purchases") as (db, _):
        rows: pd.DataFrame = db.execute(query, values).df()
    return rows.set_index("customer_id").astype("float64")


def _lines(folder: Path) -> str:
    return f"read_parquet({duck.quoted(Path(folder) / 'order_line.parquet')})"
