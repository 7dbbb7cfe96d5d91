"""The value engine on a file that nobody here made: ``make clv FILE= CALIBRATE_UNTIL=``."""

import json
import os
import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from include import duck
from include.errors import InputError
from include.models.value import purchases, spend
from include.models.value.history import DAYS_A_WEEK
from include.models.value.purchases import Floats, Purchases
from include.models.value.spend import Spend

COLUMNS = ("customer", "date", "value")
YEAR_DAYS = 365  # foreseen when the file ends with the calibration
DIGITS = 4


def clv() -> None:
    """Fit FILE up to CALIBRATE_UNTIL and print one line of figures; OUT writes the customers."""
    given = {name: os.environ.get(name) or None for name in ("FILE", "CALIBRATE_UNTIL", "OUT")}
    if not given["FILE"] or not given["CALIBRATE_UNTIL"]:
        raise InputError("clv: give FILE=purchases.csv and CALIBRATE_UNTIL=2026-06-30")
    try:
        until = date.fromisoformat(given["CALIBRATE_UNTIL"])
    except ValueError as error:
        raise InputError(
            f"clv: CALIBRATE_UNTIL={given['CALIBRATE_UNTIL']} is no day: give one as 2026-06-30"
        ) from error
    out = Path(given["OUT"]) if given["OUT"] else None
    print(json.dumps(valued(Path(given["FILE"]), until, out=out)))


def valued(path: Path, until: date, *, out: Path | None = None) -> dict[str, Any]:
    """Learn from the purchases up to and including a day, and compare with those after it.

    Parameters
    ----------
    path : CSV or Parquet of customer, date and value; purchases of one day count once.
    until : the last day learned from.
    out : Parquet of a row a customer: what was foreseen, and what happened.

    Returns
    -------
    The parameters and log-likelihoods of BG/NBD and Gamma-Gamma (time in weeks, worth of repeat
    purchases, as published), core_s of the fits, and for the days after ``until`` (holdout_days)
    the errors and totals of orders and revenue; without such days what a year is expected to bring.
    """
    rows, ends = _read(path, until)
    times = purchases.times(rows)
    paid = rows[(rows["repeats"] > 0) & (rows["mean_value"] > 0)]
    start = time.process_time()
    buys = purchases.fit(*times)
    pays = spend.fit(paid["repeats"].to_numpy(), paid["mean_value"].to_numpy())
    used = time.process_time() - start
    days = max((ends - until).days, 0)
    horizon = (days or YEAR_DAYS) / DAYS_A_WEEK
    orders = buys.expected(*times, horizon)
    worth = pays.expected(rows["repeats"].to_numpy(), rows["mean_value"].to_numpy())
    told = rows.assign(
        expected_orders=orders, expected_revenue=orders * worth, prob_alive=buys.alive(*times)
    )
    if not days:
        told = told.drop(columns=["actual_orders", "actual_revenue"])
    if out is not None:
        told.to_parquet(out, index=False)
    figures = _fits(buys, pays, customers=len(rows), repeaters=len(paid))
    figures |= {"core_s": round(used, 2), "holdout_days": days}
    for name in ("orders", "revenue"):
        figures |= _compared(told, name) if days else _total(told, name)
    return figures


def _read(path: Path, until: date) -> tuple[pd.DataFrame, date]:
    """A row a customer who bought by ``until``, and the newest day of the file."""
    if not path.exists():
        raise InputError(f"clv: {path} is not there: give another FILE")
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    with duck.opened("clv") as (db, _):
        try:
            db.execute(f"CREATE VIEW given AS FROM {reader}({duck.quoted(path)})")
            db.execute("""CREATE TABLE purchase AS
                SELECT CAST(customer AS text) AS customer, CAST(date AS date) AS day,
                    sum(CAST(value AS double)) AS value
                FROM given GROUP BY ALL""")
        except (duckdb.BinderException, duckdb.ConversionException) as error:
            raise InputError(
                f"clv: {path.name} needs the columns {', '.join(COLUMNS)}, the date as "
                f"2026-06-30: {str(error).splitlines()[0]}"
            ) from error
        ends = db.execute("SELECT max(day) FROM purchase").fetchall()[0][0]
        rows: pd.DataFrame = db.execute(CUSTOMERS, {"until": until, "week": DAYS_A_WEEK}).df()
    if rows.empty:
        raise InputError(f"clv: no purchase up to {until}: give a later CALIBRATE_UNTIL")
    return rows, ends


CUSTOMERS = """
WITH first AS (
    SELECT customer, min(day) AS first FROM purchase GROUP BY customer HAVING min(day) <= $until
)
SELECT customer,
    CAST(count(*) FILTER (WHERE day > first AND day <= $until) AS double) AS repeats,
    (max(day) FILTER (WHERE day <= $until) - first) / $week AS last,
    ($until - first) / $week AS age,
    coalesce(avg(value) FILTER (WHERE day > first AND day <= $until), 0) AS mean_value,
    CAST(count(*) FILTER (WHERE day > $until) AS double) AS actual_orders,
    coalesce(sum(value) FILTER (WHERE day > $until), 0) AS actual_revenue
FROM purchase JOIN first USING (customer) GROUP BY customer, first ORDER BY customer
"""


def _fits(buys: Purchases, pays: Spend, **counts: int) -> dict[str, Any]:
    named = ("r", "alpha", "a", "b", "log_likelihood")
    return {
        **counts,
        "bg_nbd": {name: round(getattr(buys, name), DIGITS) for name in named},
        "gamma_gamma": {
            name: round(getattr(pays, name), DIGITS) for name in ("p", "q", "v", "log_likelihood")
        },
    }


def _total(told: pd.DataFrame, name: str) -> dict[str, float]:
    return {f"{name}_total": round(float(told[f"expected_{name}"].sum()), DIGITS)}


def _compared(told: pd.DataFrame, name: str) -> dict[str, float]:
    said: Floats = told[f"expected_{name}"].to_numpy()
    true: Floats = told[f"actual_{name}"].to_numpy()
    found = {
        f"{name}_rmse": float(np.sqrt(((said - true) ** 2).mean())),
        f"{name}_mae": float(abs(said - true).mean()),
        f"{name}_actual": float(true.sum()),
    }
    if said.std() > 0 and true.std() > 0:
        found[f"{name}_correlation"] = float(np.corrcoef(said, true)[0, 1])
    return _total(told, name) | {key: round(value, DIGITS) for key, value in found.items()}
