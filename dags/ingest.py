"""Copy what changed in a CRM, row by row checked, into `landing`; then check the tables.

There is one such DAG for each source that is switched on (`AIRFLOW_CONN_<CONNECTION>` is set).
Any task may be cleared: what has been loaded is not loaded twice. One table's failure leaves the
others landed and the run red. What a row breaks is in `bi.quarantine`, what a table breaks in
`bi.quality_result`.
"""

from airflow.sdk import Asset, dag, task
from house import DAG, begin, cron

from include import sources
from include.errors import ConfigError
from include.sources import Source


def ingest(source: Source):
    schedule = cron(source.schedule)

    @dag(
        dag_id=f"ingest_{source.name}",
        schedule=schedule,
        tags=["ingest"],
        doc_md=__doc__,
        **DAG,
    )
    def pipeline():
        @task(map_index_template="{{ entity }}")
        def copy(run: str, entity: str) -> None:
            from airflow.sdk import get_current_context

            from include import landing, ledger, sources

            get_current_context()["entity"] = entity
            with ledger.step(run) as db:
                landing.load(sources.load(source.name), entity, db, run_id=run)

        @task(multiple_outputs=False, outlets=[Asset(f"landing_{source.name}")])
        def check(run: str) -> dict[str, float | None]:
            from datetime import UTC, datetime

            from include import clock, ledger, quality

            tables = [
                (f"landing.{entity}", f"landing.{entity}__{source.name}")
                for entity in source.entities
            ]
            with ledger.step(run) as db:
                quality.check(db, tables, run_id=run, source=source.name)
                counts = ledger.loaded(db, run)
                due = clock.next_run(schedule and schedule.expression, datetime.now(UTC))
                ledger.finish(db, run, **counts, next_run_at=due)
            return counts

        run = begin()
        copy.partial(run=run).expand(entity=list(source.entities)) >> check(run)

    return pipeline()


def reconciliation(source: Source):
    @dag(
        dag_id=f"reconcile_{source.name}",
        schedule=cron(source.reconcile),
        tags=["reconcile"],
        **DAG,
    )
    def pipeline():
        """Compare a whole CRM with what has landed, and mend what differs: a row that was changed
        without its stamp, deleted without a trace, lost or damaged here. Only key ranges that
        differ are read again where both sides are PostgreSQL. One table's failure leaves the
        others mended and the run red. `done` ends skipped when nothing had to be mended: no
        profile follows then. Counts are in `bi.load`.
        """

        @task(map_index_template="{{ entity }}")
        def reconcile(run: str, entity: str) -> None:
            from airflow.sdk import get_current_context

            from include import landing, ledger, sources

            get_current_context()["entity"] = entity
            with ledger.step(run) as db:
                landing.reconcile(sources.load(source.name), entity, db, run_id=run)

        @task(multiple_outputs=False, outlets=[Asset(f"landing_{source.name}")])
        def done(run: str) -> dict[str, float | None]:
            from airflow.sdk.exceptions import AirflowSkipException

            from include import ledger

            with ledger.step(run) as db:
                counts = ledger.loaded(db, run)
                ledger.finish(db, run, **counts)
                mended = ledger.changed(db, run)
            if not mended:  # a skipped task emits no asset event
                raise AirflowSkipException("nothing had to be mended, so no profile follows")
            return counts

        run = begin()
        reconcile.partial(run=run).expand(entity=list(source.entities)) >> done(run)

    return pipeline()


def broken(dag_id: str, name: str):
    """A DAG that fails with the message of a mapping that cannot be used."""

    @dag(dag_id=dag_id, schedule=None, tags=[dag_id.partition("_")[0]], doc_md=__doc__, **DAG)
    def pipeline():
        @task(outlets=[Asset(f"landing_{name}")])
        def read_mapping() -> None:
            sources.load(name)  # raises again what kept the DAG from being built

        read_mapping()

    return pipeline()


for name in sources.switched_on():
    try:
        source = sources.load(name)
    except ConfigError:
        broken(f"ingest_{name}", name)
        broken(f"reconcile_{name}", name)
    else:
        ingest(source)
        reconciliation(source)
