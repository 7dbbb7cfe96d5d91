"""Did it happen? What scores foresaw beside what came, by tenths: ``ops.score_outcome``.

Published scores are kept in ``ops.score_log`` until their horizon has passed; then each tenth is
held against what its customers did. A training gives the same figures of its test day, so that a
new installation has some on its first day.
"""

import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pandas as pd

from include import duck, models
from include.models import labels
from include.models.base import rank
from include.models.registry import Connection

log = logging.getLogger(__name__)

# Horizons are 30 days and more: scores of neighbouring days foresee nearly the same days, and of a
# million customers each day kept takes 3 MB.
EVERY_DAYS = 7
Z = NormalDist().inv_cdf(0.975)
DIGITS = 9


@dataclass(frozen=True)
class Tenth:
    """Customers of one decile: what was foreseen, and for how many it happened."""

    decile: int
    predicted_rate: float
    customers: int
    happened: int
    gone: int = 0


@dataclass(frozen=True)
class Foreseen:
    """Whose scores they are: a version's, for one day."""

    model: str
    as_of: date
    model_version: str
    horizon_days: int


def log_scores(db: Connection, generation: int, *, run_id: str) -> int:
    """Keep the scores of a published generation until they can be held against what happened.

    A day that is published again replaces what it said. A day before the newest one that was kept
    is not kept: its customers, or their answers, are known already. Neither is one within
    ``EVERY_DAYS`` of it.

    Returns
    -------
    Number of tenths that were kept, over all models.
    """
    published = {"generation": generation, "run_id": run_id, "every": EVERY_DAYS}
    with db.transaction():
        db.execute(
            f"""DELETE FROM ops.score_log AS l USING ({DUE}) AS due
                WHERE l.model = due.model AND l.as_of = due.as_of""",
            published,
        )
        kept = db.execute(
            f"""INSERT INTO ops.score_log (model, as_of, decile, model_version, horizon_days,
                    predicted_mean, customer_ids, recorded_at, run_id)
                SELECT model, as_of, decile, max(model_version), max(horizon_days), avg(score),
                    array_agg(customer_id ORDER BY customer_id), now(), %(run_id)s
                FROM mart.customer_score JOIN ({DUE}) AS due USING (model, as_of)
                WHERE generation = %(generation)s AND eligible
                GROUP BY model, as_of, decile""",
            published,
        ).rowcount
    log.info("kept the scores of %d tenths for when their horizon has passed", kept)
    return kept


DUE = """
    SELECT model, as_of FROM (
        SELECT DISTINCT model, as_of FROM mart.customer_score WHERE generation = %(generation)s
    ) AS p WHERE NOT EXISTS (
        SELECT FROM ops.score_outcome AS o WHERE o.model = p.model AND o.origin = 'published'
        AND o.as_of > p.as_of - %(every)s)
    AND NOT EXISTS (
        SELECT FROM ops.score_log AS l WHERE l.model = p.model AND l.as_of <> p.as_of
        AND l.as_of > p.as_of - %(every)s)"""


def measure(db: Connection, folder: Path, as_of: date, *, run_id: str) -> int:
    """Hold the scores that were kept against what happened, where the horizon has passed.

    Labels are those of training. A horizon counts as passed when the orders of ``folder`` before
    ``as_of`` reach its end: of a source that fell silent nobody is said to have churned. What was
    kept of a day goes in the transaction that writes its outcome.

    Returns
    -------
    Number of days measured, over all models.
    """
    known = labels.span(folder, as_of)
    if known is None:
        return 0
    with db.transaction():  # leaves no transaction open while the outcome is computed
        due = db.execute(
            """SELECT DISTINCT model, as_of, model_version, horizon_days FROM ops.score_log
               WHERE as_of + horizon_days <= %s ORDER BY model, as_of""",
            [known.end],
        ).fetchall()
    rows = [row for row in due if models.known(row[0])]
    alive = _customers(folder) if rows else pd.Index([])
    for row in rows:
        foreseen = Foreseen(*row)
        tenths = _happened(db, folder, foreseen, alive)
        with db.transaction():
            record(db, foreseen, "published", tenths, run_id=run_id)
            db.execute(
                "DELETE FROM ops.score_log WHERE model = %s AND as_of = %s",
                [foreseen.model, foreseen.as_of],
            )
        log.info("%s of %s: the outcome is known", foreseen.model, foreseen.as_of)
    return len(rows)


def _customers(folder: Path) -> pd.Index:
    """Everybody whom the snapshot knows, by a record or by an order."""
    files = ", ".join(
        duck.quoted(folder / f"{name}.parquet") for name in ("customer", "order_line")
    )
    with duck.opened(f"customers: {folder}") as (db, _):
        found = db.execute(
            f"""SELECT DISTINCT customer_id FROM read_parquet([{files}], union_by_name = true)
                WHERE customer_id IS NOT NULL"""
        ).fetchnumpy()["customer_id"]
    return pd.Index(found)


def _happened(db: Connection, folder: Path, said: Foreseen, alive: pd.Index) -> list[Tenth]:
    """Each tenth of one day with what its customers did; those merged since count as who they are.

    Two customers who were one all along are two predictions, both judged by that one.
    """
    with db.transaction():
        rows = db.execute(
            """SELECT decile, predicted_mean, customer_ids FROM ops.score_log
               WHERE model = %s AND as_of = %s ORDER BY decile""",
            [said.model, said.as_of],
        ).fetchall()
    then = pd.concat({decile: pd.Series(ids) for decile, _, ids in rows})
    now = then.where(then.isin(alive), then.map(_merged(db, then[~then.isin(alive)], alive)))
    there = pd.Index(now.dropna().unique().astype("int64"))
    model = models.make(said.model)
    answers = model.labels(folder, there, said.as_of, said.horizon_days)
    found = now.map(answers).groupby(level=0)
    counts, happened = found.count(), found.sum()
    return [
        Tenth(
            decile=decile,
            predicted_rate=predicted,
            customers=int(counts[decile]),
            happened=int(happened[decile]),
            gone=len(ids) - int(counts[decile]),
        )
        for decile, predicted, ids in rows
    ]


def _merged(db: Connection, missing: pd.Series, alive: pd.Index) -> dict[int, int]:
    """Whose records a customer's went to, over any number of merges, while somebody is there."""
    with db.transaction():
        steps = db.execute(
            """WITH RECURSIVE went AS (
                   SELECT id AS customer_id, id AS now, '-infinity'::timestamptz AS at
                   FROM unnest(%s::bigint[]) AS id
                   UNION ALL
                   SELECT w.customer_id, e.other_customer_id, e.at FROM went AS w
                   JOIN LATERAL (
                       SELECT other_customer_id, at FROM core.identity_event
                       WHERE event = 'merged' AND customer_id = w.now AND at > w.at
                       ORDER BY at DESC LIMIT 1) AS e ON true)
               SELECT customer_id, now FROM went ORDER BY at""",
            [missing.tolist()],
        ).fetchall()
    return {customer: now for customer, now in steps if now in alive}


def tenths(scores: pd.Series, answers: pd.Series) -> list[Tenth]:
    """Scores and what happened (0 or 1), on one index, by deciles of the scores."""
    frame = pd.DataFrame({"score": scores, "answer": answers})
    return [
        Tenth(int(decile), float(rows["score"].mean()), len(rows), int(rows["answer"].sum()))
        for decile, rows in frame.groupby(rank(scores)["decile"])
    ]


def record_backtest(
    db: Connection, card: dict[str, Any], model: str, model_version: str, *, run_id: str
) -> None:
    """Write the outcome of a version's own test day, which its card keeps."""
    made_of = card["made_of"]["parameters"]
    said = Foreseen(
        model,
        date.fromisoformat(card["reference"]["as_of"]),
        model_version,
        made_of["horizon_days"],
    )
    record(db, said, "backtest", [Tenth(**each) for each in card["tenths"]], run_id=run_id)


def record(db: Connection, said: Foreseen, origin: str, found: list[Tenth], *, run_id: str) -> None:
    """Write the outcome of one day's scores, in place of what stood there."""
    happened, customers = sum(t.happened for t in found), sum(t.customers for t in found)
    rows = []
    for tenth in found:
        low, high = wilson(tenth.happened, tenth.customers)
        actual = tenth.happened / tenth.customers if tenth.customers else None
        lift = None if actual is None or not happened else actual * customers / happened
        figures = (tenth.predicted_rate, actual, low, high, lift)
        rows.append((
            said.model, said.as_of, origin, tenth.decile, said.model_version, said.horizon_days,
            tenth.customers, tenth.gone,
            *(None if figure is None else round(figure, DIGITS) for figure in figures), run_id,
        ))  # fmt: skip
    with db.transaction(), db.cursor() as cursor:
        cursor.execute(
            "DELETE FROM ops.score_outcome WHERE model = %s AND as_of = %s AND origin = %s",
            [said.model, said.as_of, origin],
        )
        cursor.executemany(
            """INSERT INTO ops.score_outcome (model, as_of, origin, decile, model_version,
                   horizon_days, customers, gone, predicted_rate, actual_rate, actual_low,
                   actual_high, lift, recorded_at, run_id)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now(), %s)""",
            rows,
        )


def wilson(happened: int, customers: int) -> tuple[float | None, float | None]:
    """The 95 % interval of a share (Wilson 1927): within 0 and 1, and fair to small groups."""
    if not customers:
        return None, None
    share, z2 = happened / customers, Z * Z / customers
    middle = (share + z2 / 2) / (1 + z2)
    half = Z * (share * (1 - share) / customers + z2 / customers / 4) ** 0.5 / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)
