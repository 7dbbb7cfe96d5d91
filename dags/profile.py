"""Work out who each customer is, once any source is fresh. Trigger by hand for a past day.

Records are linked to people, the landed tables are written to Parquet as one moment in time, and
one row a customer is computed from it. Where nothing has landed since the last snapshot, that one
is used again. Any task may be cleared: the same day gives the same rows.
"""

from airflow.sdk import Asset, AssetAny, Param, dag, task
from house import DAG

from include import sources

PROFILE = Asset("customer_profile")
LANDED = [Asset(f"landing_{name}") for name in sources.switched_on()]


@dag(
    schedule=AssetAny(*LANDED) if LANDED else None,
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="As of",
            description="Nothing dated on or after this day is seen. Empty: the newest data.",
        ),
        "known_at": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="Known at",
            description="What had landed by this moment, with an offset. Empty: all that has.",
        ),
        "keep": Param(
            3,
            type="integer",
            minimum=1,
            maximum=30,
            title="Snapshots to keep",
            description="Older Parquet folders are removed.",
        ),
    },
    tags=["profile"],
    doc_md=__doc__,
    **DAG,
)
def profile():
    @task(multiple_outputs=False)
    def begin(dag_run, params) -> dict[str, str]:
        from include import clock, domains, landing, ledger, warehouse

        run_id = f"{dag_run.dag_id}/{dag_run.run_id}"
        zone = domains.load().time_zone
        with ledger.step(run_id) as db:
            warehouse.deploy(db)
            ledger.begin(db, run_id)
            newest = landing.newest_order(db)
            day = clock.as_of(
                dag_run.run_after, given=params["as_of"], newest_order=newest, time_zone=zone
            )
            landing.require_order_before(db, clock.midnight(day, zone))
            stale = clock.stale_reason(day, dag_run.run_after, newest_order=newest, time_zone=zone)
            ledger.dated(db, run_id, day, stale)
        return {"run_id": run_id, "as_of": str(day)}

    @task
    def resolve(run: dict[str, str]) -> None:
        from include import identity, ledger

        with ledger.step(run["run_id"]) as db:
            identity.resolve(db, run_id=run["run_id"])

    @task
    def take_snapshot(run: dict[str, str], params) -> str:
        from datetime import datetime

        from include import ledger, paths, snapshot

        known_at = datetime.fromisoformat(params["known_at"]) if params["known_at"] else None
        with ledger.step(run["run_id"]) as db:
            folder = snapshot.take(
                db,
                paths.snapshots(),
                run_id=run["run_id"],
                known_at=known_at,
                keep=params["keep"],
            )
        return str(folder)

    @task(outlets=[PROFILE])
    def build(run: dict[str, str], folder: str, outlet_events) -> None:
        from datetime import date

        from include import ledger, snapshot
        from include.profile import base_of, compute, customers

        day, taken = date.fromisoformat(run["as_of"]), snapshot.local(folder)
        with ledger.step(run["run_id"]) as db:
            made = compute(taken, day, base=base_of(taken, day))
            snapshot.share(made, folder)
            rows = customers(made)
            ledger.built(db, run["run_id"], as_of=day, folder=folder, customers=rows)
            ledger.finish(db, run["run_id"], rows_out=rows)
        outlet_events[PROFILE].extra = {"as_of": run["as_of"]}

    run = begin()
    folder = take_snapshot(run)
    resolve(run) >> folder
    build(run, folder)


profile()
