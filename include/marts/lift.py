"""What audiences have brought: who was contacted against who was not, once a horizon has passed."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from psycopg import sql
from scipy import stats

from include import audiences, contracts, duck, warehouse
from include.audiences import Audience
from include.models import files, labels

log = logging.getLogger(__name__)

FEWEST = 30  # entries of a group: a figure of fewer misleads
DIGITS = 9
UNKNOWN = (math.nan, math.nan)

# Entered: on the list that day, and not the day before. Who changed group within the horizon, as
# another control_share makes some, was in both.
ENTRIES = """COPY (
    SELECT audience, customer_id, split_group, from_as_of, horizon_days FROM (
        SELECT *, lag(to_as_of) OVER each AS left_before, lead(from_as_of) OVER each AS next_from
        FROM mart.audience_member_history
        WINDOW each AS (PARTITION BY audience, customer_id ORDER BY from_as_of)
    ) AS h JOIN unnest({names}::text[], {horizons}::integer[]) AS a (audience, horizon_days)
    USING (audience)
    WHERE from_as_of + horizon_days <= {end} AND left_before IS DISTINCT FROM from_as_of
    AND NOT coalesce(next_from = to_as_of AND next_from < from_as_of + horizon_days, false)
) TO STDOUT (FORMAT csv, HEADER)"""

ENTRY = {
    "audience": "VARCHAR",
    "customer_id": "BIGINT",
    "split_group": "VARCHAR",
    "from_as_of": "DATE",
    "horizon_days": "INTEGER",
}

# Who is no customer of that number any more, being merged or deleted, has no outcome.
OUTCOMES = """
    WITH counted AS (
        SELECT e.*, coalesce(bool_or(l.quantity > 0), false)::integer AS bought,
               coalesce(sum(l.amount), 0)::double AS revenue
        FROM read_csv({entries}, columns = {types}) AS e
        LEFT JOIN read_parquet({lines}) AS l
        ON l.customer_id = e.customer_id AND l.ordered_on >= e.from_as_of
           AND l.ordered_on < e.from_as_of + e.horizon_days
        WHERE e.customer_id IN (
            SELECT customer_id FROM read_parquet([{customers}, {lines}], union_by_name = true))
        GROUP BY ALL
    )
    SELECT audience, split_group, horizon_days, min(from_as_of) AS entered_from,
           max(from_as_of) AS entered_to, count(*) AS entries, sum(bought) AS bought,
           avg(revenue) AS revenue, var_samp(revenue) AS variance
    FROM counted GROUP BY audience, split_group, horizon_days ORDER BY audience, split_group"""


@dataclass(frozen=True)
class Group:
    """What the entries into one group of an audience did within the horizon."""

    entries: int = 0
    bought: int = 0
    revenue: float = 0.0  # mean
    variance: float = math.nan  # of the revenue


def lift(
    db: warehouse.Connection,
    folder: Path,
    as_of: date,
    out: Path,
    *,
    wanted: Sequence[Audience] | None = None,
) -> int:
    """Write ``<out>/lift.parquet``, two rows an audience of which entries are due; return them.

    An entry is due when the orders of ``folder`` before ``as_of`` reach the end of its horizon: of
    a source that fell silent nobody is said not to have bought.

    Parameters
    ----------
    wanted : the audiences; None: those of ``audiences.yaml``.
    """
    wanted = audiences.load() if wanted is None else wanted
    known = labels.span(folder, as_of)
    rows = [] if known is None else _rows(db, folder, known.end, wanted)
    columns = [column.name for column in contracts.load("mart.lift").own_columns]
    files.write(pd.DataFrame(rows, columns=columns), "mart.lift", out)
    log.info("lift of %d audiences", len(rows) // 2)
    return len(rows)


def _rows(
    db: warehouse.Connection, folder: Path, end: date, wanted: Sequence[Audience]
) -> list[dict[str, Any]]:
    with duck.opened("lift") as (engine, scratch):
        entries = scratch / "entries.csv"
        _write_entries(db, entries, end, wanted)
        query = OUTCOMES.format(
            entries=duck.quoted(entries),
            types=ENTRY,
            lines=duck.quoted(folder / "order_line.parquet"),
            customers=duck.quoted(folder / "customer.parquet"),
        )
        found = engine.execute(query).df()
    said: list[dict[str, Any]] = []
    for (audience, horizon_days), rows in found.groupby(["audience", "horizon_days"]):
        groups = {
            row.split_group: Group(row.entries, int(row.bought), row.revenue, row.variance)
            for row in rows.itertuples()
        }
        treatment, control = (groups.get(name, Group()) for name in ("treatment", "control"))
        of = {
            "audience": audience,
            "horizon_days": horizon_days,
            "entered_from": rows["entered_from"].min(),
            "entered_to": rows["entered_to"].max(),
            "treatment_customers": treatment.entries,
            "control_customers": control.entries,
        }
        said += [{**of, **figures} for figures in compared(treatment, control)]
    return said


def _write_entries(
    db: warehouse.Connection, path: Path, end: date, wanted: Sequence[Audience]
) -> None:
    query = sql.SQL(ENTRIES).format(
        names=sql.Literal([audience.name for audience in wanted]),
        horizons=sql.Literal([audience.horizon_days for audience in wanted]),
        end=sql.Literal(end),
    )
    with path.open("wb") as file, db.cursor() as cursor, cursor.copy(query) as blocks:
        for block in blocks:
            file.write(block)


def compared(treatment: Group, control: Group) -> list[dict[str, Any]]:
    """Both outcomes of two groups, their difference and its 95 % interval.

    What is of fewer than ``FEWEST`` entries is nan, and so is the interval of the revenue where a
    group has fewer buyers: of 200 intervals of two groups with 10 buyers in one, 20 miss the truth,
    not 10; with 40 they keep their word.
    """
    groups = (treatment, control)
    shares = [group.bought / max(group.entries, 1) for group in groups]
    means = [group.revenue for group in groups]
    intervals = {"purchase": UNKNOWN, "revenue": UNKNOWN}
    if min(group.entries for group in groups) >= FEWEST:
        intervals["purchase"] = newcombe(*((group.bought, group.entries) for group in groups))
    if min(group.bought for group in groups) >= FEWEST:
        intervals["revenue"] = welch(*groups)
    return [
        {"outcome": outcome, **_figures(groups, values, intervals[outcome])}
        for outcome, values in (("purchase", shares), ("revenue", means))
    ]


def _figures(
    groups: tuple[Group, Group], values: list[float], interval: tuple[float, float]
) -> dict[str, float]:
    one, other = (
        value if group.entries >= FEWEST else math.nan
        for value, group in zip(values, groups, strict=True)
    )
    names = ("treatment_value", "control_value", "difference", "difference_low", "difference_high")
    figures = (round(figure, DIGITS) for figure in (one, other, one - other, *interval))
    return dict(zip(names, figures, strict=True))


def newcombe(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares, each given as (of them, of how many).

    Hybrid score: Newcombe RG (1998), Interval estimation for the difference between independent
    proportions: comparison of eleven methods, Statistics in Medicine 17, 873-890, method 10.

    >>> newcombe((56, 70), (48, 80))
    (0.0524..., 0.3338...)
    """
    (p, low_p, high_p), (q, low_q, high_q) = (
        (k / n, *stats.binomtest(k, n).proportion_ci(0.95, method="wilson"))
        for k, n in (one, other)
    )
    difference = p - q
    return (
        difference - math.hypot(p - low_p, high_q - q),
        difference + math.hypot(high_p - p, q - low_q),
    )


def welch(one: Group, other: Group) -> tuple[float, float]:
    """The 95 % interval of the difference of two mean revenues, of which one varies at least.

    Unequal variances: Welch BL (1947), The generalization of "Student's" problem when several
    different population variances are involved, Biometrika 34, 28-35.
    """
    parts = [group.variance / group.entries for group in (one, other)]
    if not any(parts):
        return UNKNOWN
    freedom = sum(parts) ** 2 / sum(
        part**2 / (group.entries - 1) for part, group in zip(parts, (one, other), strict=True)
    )
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(sum(parts))
    difference = one.revenue - other.revenue
    return difference - half, difference + half
