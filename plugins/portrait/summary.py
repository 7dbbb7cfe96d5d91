"""What the page shows of the warehouse, read from the views of ``bi`` in one moment."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
RUNS_SHOWN = 8
PRODUCTS_SHOWN = 6
KPIS_SHOWN = 8
REASONS_SHOWN = 6
PAIRS_SHOWN = 8
PATIENCE = "15s"  # one query; the page is no place to wait longer

FRESHNESS = ("generation", "as_of", "published_at", "data_to", "stale_reason")
SINCE = ("model_as_of", "next_run_at")  # columns that an older warehouse may not have yet

# name in the summary -> (view or column, query); one that is not there yet gives no rows
QUERIES = {
    "segments": (
        "bi.segment",
        """SELECT segment_key, name, rule, customers, customer_share, revenue_share,
                  suggested_action
           FROM bi.segment ORDER BY revenue_share DESC NULLS LAST, segment_key""",
    ),
    "kpis": (  # in the order of metrics.yaml
        "bi.kpi",
        f"""SELECT metric, label, unit, value, change, previous_as_of
            FROM bi.kpi JOIN (SELECT name, row_number() OVER () AS place FROM bi.metric) AS m
                ON m.name = metric
            WHERE as_of = (SELECT as_of FROM bi.freshness) ORDER BY place LIMIT {KPIS_SHOWN}""",
    ),
    "audiences": (
        "bi.audience",
        """SELECT audience, label, description, members, treatment, control, without_consent,
                  problem FROM bi.audience ORDER BY members DESC, audience""",
    ),
    "products": (
        "bi.recommended_product",
        f"""SELECT product_id, product_name, customers, first_place_customers
            FROM bi.recommended_product WHERE list = 'explore'
            ORDER BY customers DESC, product_id LIMIT {PRODUCTS_SHOWN}""",
    ),
    "models": (
        "bi.model_run",
        """SELECT DISTINCT ON (model) model, model_version, as_of, decision, reason,
                  bool_or(champion) OVER (PARTITION BY model) AS published,
                  max(model_version) FILTER (WHERE champion) OVER (PARTITION BY model)
                      AS champion_version
           FROM bi.model_run ORDER BY model, recorded_at DESC, model_version""",
    ),
    "missing": (  # of each requirement what was found last
        "bi.model_readiness",
        """SELECT model, requirement, needed, found, gap
           FROM (SELECT DISTINCT ON (model, requirement) *
                 FROM bi.model_readiness ORDER BY model, requirement, recorded_at DESC) AS latest
           WHERE gap > 0 ORDER BY model, requirement""",
    ),
    "runs": (
        "bi.pipeline_run",
        f"""SELECT run_id, dag, status, as_of, recorded_at, rows_in, rows_out, rows_quarantined,
                   published, stale_reason, message
            FROM bi.pipeline_run ORDER BY recorded_at DESC, run_id LIMIT {RUNS_SHOWN}""",
    ),
    "checks": (  # the newest result of each rule
        "bi.quality_result",
        """SELECT * FROM (SELECT DISTINCT ON (table_name, source, "check")
                                 table_name, source, "check", passed, severity, observed,
                                 failing_rows, recorded_at
                          FROM bi.quality_result
                          ORDER BY table_name, source, "check", recorded_at DESC) AS latest
           ORDER BY passed, severity, table_name, source, "check" """,
    ),
    "sources": (  # how the newest ingest ended; of the newest good ones, what they did
        "bi.pipeline_run.rows_per_second",
        """SELECT substr(run.dag, 8) AS source, run.status, run.message, loaded.recorded_at,
                  loaded.rows_in, loaded.rows_per_second, loaded.lag_seconds,
                  compared.recorded_at AS compared_at, compared.rows_reconciled,
                  compared.ranges_differing
           FROM (SELECT DISTINCT ON (dag) * FROM bi.pipeline_run WHERE dag LIKE 'ingest\\_%'
                 ORDER BY dag, recorded_at DESC) AS run
           LEFT JOIN LATERAL (
               SELECT * FROM bi.pipeline_run AS r WHERE r.dag = run.dag AND r.status = 'success'
               ORDER BY recorded_at DESC LIMIT 1) AS loaded ON true
           LEFT JOIN LATERAL (
               SELECT r.recorded_at, r.rows_reconciled, (
                   SELECT sum(ranges_differing) FROM bi.load AS l WHERE l.run_id = r.run_id
                   ) AS ranges_differing
               FROM bi.pipeline_run AS r
               WHERE r.dag = 'reconcile_' || substr(run.dag, 8) AND r.status = 'success'
               ORDER BY recorded_at DESC LIMIT 1) AS compared ON true
           ORDER BY source""",
    ),
    "quarantine": (
        "bi.quarantine_count",
        f"""SELECT source, entity, "check", "column", reason, rows, last_recorded_at
            FROM bi.quarantine_count
            ORDER BY rows DESC, source, entity, "check", "column" LIMIT {REASONS_SHOWN}""",
    ),
    "pairs": (  # that wait for a person, the likeliest first
        "bi.identity_review",
        f"""SELECT source || ':' || source_id AS record,
                   other_source || ':' || other_source_id AS other, probability, weights,
                   count(*) OVER () AS waiting
            FROM bi.identity_review WHERE status = 'open'
            ORDER BY probability DESC, record, other LIMIT {PAIRS_SHOWN}""",
    ),
}


def read(db: psycopg.Connection[Any]) -> Row:
    """Everything the page shows, of one generation even while another is being published.

    Returns
    -------
    The one row of ``bi.freshness`` (``generation`` is None before the first publish), and a list
    of rows for each name in ``QUERIES``. Shares are 0 to 1, times aware.
    """
    db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    db.read_only = True
    with db.transaction(), db.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [PATIENCE])
        views = _there(cursor)
        summary = _freshness(cursor, views)
        for name, (view, query) in QUERIES.items():
            summary[name] = cursor.execute(query).fetchall() if view in views else []
    return summary


def model_run(db: psycopg.Connection[Any], model_version: str) -> Row | None:
    """The row of ``bi.model_run`` of a version; None where there is no such version."""
    with db.transaction(), db.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [PATIENCE])
        if "bi.model_run" not in _there(cursor):
            return None
        return cursor.execute(
            """SELECT model, model_version, as_of, champion, decision, reason
               FROM bi.model_run WHERE model_version = %s""",
            [model_version],
        ).fetchone()


def _there(cursor: psycopg.Cursor[Row]) -> set[str]:
    """The views of ``bi`` and their columns; after an upgrade the next run brings the new ones."""
    found = cursor.execute(
        "SELECT format('bi.%s', table_name) AS view, format('bi.%s.%s', table_name, column_name) "
        "AS column FROM information_schema.columns WHERE table_schema = 'bi'"
    )
    return {name for row in found for name in row.values()}


def _freshness(cursor: psycopg.Cursor[Row], views: set[str]) -> Row:
    known = [*FRESHNESS, *(name for name in SINCE if f"bi.freshness.{name}" in views)]
    query = f"SELECT {', '.join(known)} FROM bi.freshness"
    row = cursor.execute(query.encode()).fetchone() if "bi.freshness" in views else None
    return {**dict.fromkeys((*FRESHNESS, *SINCE)), **(row or {})}
