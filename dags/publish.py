"""Score, fill the marts, check them, and switch BI over; when a profile or a champion is new.

BI reads the last good generation until the switch, which is one row. Three generations are kept;
`rollback` points BI at an earlier one. Any task may be cleared.
"""

from airflow.sdk import Asset, AssetAny, Param, dag, task
from house import DAG

from include.marts import MARTS

PROFILE, CHAMPION = Asset("customer_profile"), Asset("champion")
PUBLISHED = Asset("published")


@dag(
    schedule=AssetAny(PROFILE, CHAMPION),
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="As of",
            description="The day of a profile that was built. Empty: the newest profile's.",
        ),
        "list_length": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=50,
            title="Recommendations a list",
            description="Empty: as the domain file says.",
        ),
    },
    tags=["publish"],
    doc_md=__doc__,
    **DAG,
)
def publish():
    @task(multiple_outputs=False)
    def begin(dag_run, params, triggering_asset_events) -> dict[str, str]:
        from include import clock, domains, landing, ledger, paths, warehouse
        from include.marts import generations

        run_id = f"{dag_run.dag_id}/{dag_run.run_id}"
        zone = domains.load().time_zone
        events = triggering_asset_events.get(PROFILE) or []
        wanted = params["as_of"] or (events[-1].extra.get("as_of") if events else None)
        with ledger.step(run_id) as db:
            warehouse.deploy(db)
            ledger.begin(db, run_id)
            day, folder = ledger.newest_profile(db, wanted)
            stale = clock.stale_reason(
                day,
                dag_run.run_after,
                newest_order=landing.newest_order(db),
                time_zone=zone,
            )
            ledger.dated(db, run_id, day, stale)
            paths.clear_work(but=run_id)
            generation = generations.begin(
                db,
                as_of=day,
                run_id=run_id,
                data_to=landing.newest_order(db, before=clock.midnight(day, zone)),
                stale_reason=stale,
            )
        return {
            "run_id": run_id,
            "as_of": str(day),
            "folder": folder,
            "work": str(paths.work(run_id)),
            "generation": str(generation),
        }

    @task
    def score(run: dict[str, str]) -> None:
        from datetime import date
        from pathlib import Path

        from include import ledger, snapshot
        from include.models.assign import assign
        from include.models.drift import coverage
        from include.models.score import score
        from include.models.value import compute

        day, folder, work = (
            date.fromisoformat(run["as_of"]),
            snapshot.local(run["folder"]),
            Path(run["work"]),
        )
        work.mkdir(parents=True, exist_ok=True)
        with ledger.step(run["run_id"]) as db:
            coverage(db, folder, day, work)
            score(db, folder, day, work)
            assign(db, folder, day, work)
            compute(folder, day, work)

    @task
    def recommend(run: dict[str, str], params) -> None:
        from datetime import date
        from pathlib import Path

        from include import ledger, snapshot
        from include.models import registry
        from include.recommend import lists

        day, folder, work = (
            date.fromisoformat(run["as_of"]),
            snapshot.local(run["folder"]),
            Path(run["work"]),
        )
        work.mkdir(parents=True, exist_ok=True)
        with ledger.step(run["run_id"]) as db:
            champion = registry.champion(db, "recommend")
            card, most = champion and champion.card, params["list_length"]
            lists(folder, day, card, work, explore_length=most, repeat_length=most)

    @task(map_index_template="{{ table }}")
    def fill(run: dict[str, str], table: str) -> int:
        from datetime import date
        from pathlib import Path

        from airflow.sdk import get_current_context

        from include import ledger, snapshot
        from include.marts.fill import fill

        get_current_context()["table"] = table
        with ledger.step(run["run_id"]) as db:
            return fill(
                db,
                table,
                generation=int(run["generation"]),
                as_of=date.fromisoformat(run["as_of"]),
                work=Path(run["work"]),
                folder=snapshot.local(run["folder"]),
            )

    @task
    def check(run: dict[str, str]) -> None:
        from datetime import date

        from include import ledger, quality
        from include.marts import generations

        generation, day = int(run["generation"]), date.fromisoformat(run["as_of"])
        with ledger.step(run["run_id"]) as db:
            generations.check(db, generation=generation, as_of=day, run_id=run["run_id"])
            places = [(f"mart.{table}", generations.place(table, generation)) for table in MARTS]
            quality.check(db, places, run_id=run["run_id"], as_of=day)

    @task(outlets=[PUBLISHED])
    def switch(run: dict[str, str], rows: list[int], outlet_events) -> None:
        from include import ledger
        from include.marts import generations

        with ledger.step(run["run_id"]) as db:
            generations.switch(db, generation=int(run["generation"]), run_id=run["run_id"])
            ledger.finish(db, run["run_id"], rows_out=sum(rows), published=True)
        outlet_events[PUBLISHED].extra = {"as_of": run["as_of"], "generation": run["generation"]}

    @task
    def retire(run: dict[str, str]) -> list[int]:
        from pathlib import Path

        from include import ledger
        from include.marts import generations

        with ledger.step(run["run_id"]) as db:
            return generations.retire(db, work=Path(run["work"]))

    run = begin()
    rows = fill.partial(run=run).expand(table=MARTS)
    [score(run), recommend(run)] >> rows
    rows >> check(run) >> switch(run, rows) >> retire(run)


publish()
