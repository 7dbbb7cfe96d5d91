"""What was said of each customer on each published day: ``mart.<table>_history``.

One row for each time that it changed; the tables of ``HISTORIES`` are kept so, and what was
published of segments and metrics is kept as it was.
"""

import logging
from datetime import date

from include import contracts, metrics, warehouse

log = logging.getLogger(__name__)

HISTORIES = ["customer_profile", "customer_segment", "audience_member"]
FROM, TO = "from_as_of", "to_as_of"


def keep(
    db: warehouse.Connection,
    published: dict[str, str],
    *,
    as_of: date,
    generation: int,
    run_id: str,
) -> int:
    """Write down what a generation says otherwise than the days before; return the rows.

    A day that is published again replaces what it said. A day before the newest one is not written
    down: what is known now was not known then.

    Parameters
    ----------
    db : in the transaction that publishes, with ``portrait.generation`` pinned to the generation.
    published : mart -> the table that holds it in this generation.
    """
    row = db.execute(
        """SELECT greatest((SELECT max(from_as_of) FROM mart.customer_profile_history),
                           (SELECT max(as_of) FROM mart.kpi_history))"""
    ).fetchone()
    if row is not None and row[0] is not None and row[0] > as_of:
        log.info("%s is before %s, which is in the history: it stays as it is", as_of, row[0])
        return 0
    known = {table.full_name: table for table in contracts.all_tables()}
    said = {"day": as_of, "generation": generation, "run_id": run_id}
    _keep_segments(db, said)
    _keep_metrics(db, said)
    return sum(
        _changes(db, known[f"mart.{table}_history"], published[table], as_of) for table in HISTORIES
    )


def _changes(db: warehouse.Connection, kept: contracts.Table, published: str, day: date) -> int:
    """Close the rows that do not hold any more, and open those that hold from now on."""
    keys = [key for key in kept.key if key != FROM]
    same = " AND ".join(f'n."{key}" = h."{key}"' for key in keys)
    names = [column.name for column in kept.columns if column.name not in {*keys, FROM, TO}]
    new, old = (", ".join(f'{side}."{name}"' for name in names) for side in "nh")
    listed = ", ".join(warehouse.quoted(name) for name in [*keys, *names])
    taken = ", ".join(f'n."{name}"' for name in [*keys, *names])
    first = warehouse.quoted(keys[0])
    said = f"""EXISTS (SELECT FROM {published} AS n
        WHERE {same} AND ({new}) IS NOT DISTINCT FROM ({old}))"""
    still = f"EXISTS (SELECT FROM {kept.full_name} AS n WHERE {same} AND n.to_as_of IS NULL)"
    for query in (
        f"DELETE FROM {kept.full_name} AS h WHERE h.from_as_of = %(day)s AND NOT {said}",
        # who was closed by an earlier publish of this day and is as before was never gone
        f"""UPDATE {kept.full_name} AS h SET to_as_of = NULL
            WHERE h.to_as_of = %(day)s AND {said} AND NOT {still}""",
        f"""UPDATE {kept.full_name} AS h SET to_as_of = %(day)s
            WHERE h.to_as_of IS NULL AND NOT {said}""",
    ):
        db.execute(warehouse.text(query), {"day": day})
    return db.execute(
        warehouse.text(
            f"""INSERT INTO {kept.full_name} (from_as_of, {listed})
                SELECT %s, {taken} FROM {published} AS n LEFT JOIN {kept.full_name} AS h
                ON {same} AND h.to_as_of IS NULL WHERE h.{first} IS NULL"""
        ),
        [day],
    ).rowcount


def _keep_segments(db: warehouse.Connection, said: dict[str, object]) -> None:
    db.execute("DELETE FROM mart.segment_history WHERE as_of = %(day)s", said)
    db.execute(
        """INSERT INTO mart.segment_history (as_of, segment_key, name, rule, suggested_action,
               customers, customer_share, revenue, revenue_share, generation, run_id)
           SELECT %(day)s, s.segment_key, s.name, s.rule, s.suggested_action, s.customers,
                  s.customer_share, coalesce(c.revenue, 0), s.revenue_share, %(generation)s,
                  %(run_id)s
           FROM bi.segment AS s LEFT JOIN (
               SELECT segment_key, sum(revenue) AS revenue FROM bi.dim_customer GROUP BY 1
           ) AS c USING (segment_key)""",
        said,
    )


def _keep_metrics(db: warehouse.Connection, said: dict[str, object]) -> None:
    db.execute("DELETE FROM mart.kpi_history WHERE as_of = %(day)s", said)
    for metric in metrics.load():
        if not metric.grain:
            db.execute(
                warehouse.text(
                    f"""INSERT INTO mart.kpi_history
                            (as_of, metric, value, generation, run_id, recorded_at)
                        SELECT %(day)s, %(metric)s, (SELECT value FROM bi.metric_{metric.name}),
                               %(generation)s, %(run_id)s, now()"""
                ),
                {**said, "metric": metric.name},
            )
