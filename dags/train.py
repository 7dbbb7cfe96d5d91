"""Fit every model on dated profiles and keep it if it beats the champion; weekly, or on demand.

Models learn on past days and are tested on a later one. What was decided and why stands in
`bi.model_run` and `bi.model_readiness`; a model that is not really better than the obvious is not
published, and one that asks for a person waits for the form `champion`. Retraining on the same data
is the same version.
"""

from airflow.sdk import Asset, Param, dag, task
from house import DAG, cron

CHAMPION = Asset("champion")


@dag(
    schedule=cron("0 4 * * 0"),
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="As of",
            description="Learn from what was known before this day. Empty: the newest profile's.",
        ),
        "segments": Param(
            None,
            type=["null", "integer"],
            minimum=2,
            maximum=20,
            title="Number of segments",
            description="Empty: chosen by the elbow of the curve and its stability.",
        ),
    },
    tags=["train"],
    doc_md=__doc__,
    **DAG,
)
def train():
    @task(multiple_outputs=False)
    def begin(dag_run, params) -> dict[str, str]:
        from include import ledger, warehouse

        run_id = f"{dag_run.dag_id}/{dag_run.run_id}"
        with ledger.step(run_id) as db:
            warehouse.deploy(db)
            ledger.begin(db, run_id)
            day, folder = ledger.newest_profile(db, params["as_of"])
            ledger.dated(db, run_id, day)
        return {"run_id": run_id, "as_of": str(day), "folder": folder}

    @task
    def models(run: dict[str, str]) -> list[str]:
        from datetime import date

        from include import snapshot
        from include.models import wanted

        return wanted(snapshot.local(run["folder"]), date.fromisoformat(run["as_of"]))

    @task(multiple_outputs=False, map_index_template="{{ model }}")
    def fit(run: dict[str, str], model: str) -> dict[str, str]:
        from datetime import date

        from airflow.sdk import get_current_context

        from include import ledger, snapshot
        from include.models.train import train

        get_current_context()["model"] = model
        day, folder = date.fromisoformat(run["as_of"]), snapshot.local(run["folder"])
        with ledger.step(run["run_id"]) as db:
            return train(db, folder, model, as_of=day, run_id=run["run_id"])

    @task(multiple_outputs=False)
    def fit_segments(run: dict[str, str], params) -> dict[str, str]:
        from datetime import date

        from include import ledger, snapshot
        from include.models.segments import train

        day, folder, k = (
            date.fromisoformat(run["as_of"]),
            snapshot.local(run["folder"]),
            params["segments"],
        )
        with ledger.step(run["run_id"]) as db:
            return train(db, folder, as_of=day, run_id=run["run_id"], segments=k)

    @task(multiple_outputs=False)
    def fit_value(run: dict[str, str]) -> dict[str, str]:
        from datetime import date

        from include import ledger, snapshot
        from include.models.value import train

        day, folder = date.fromisoformat(run["as_of"]), snapshot.local(run["folder"])
        with ledger.step(run["run_id"]) as db:
            return train(db, folder, as_of=day, run_id=run["run_id"])

    @task(multiple_outputs=False)
    def fit_recommend(run: dict[str, str]) -> dict[str, str]:
        from datetime import date

        from include import ledger, snapshot
        from include.recommend import train

        day, folder = date.fromisoformat(run["as_of"]), snapshot.local(run["folder"])
        with ledger.step(run["run_id"]) as db:
            return train(db, folder, as_of=day, run_id=run["run_id"])

    @task(outlets=[CHAMPION])
    def finish(run: dict[str, str], outlet_events) -> None:
        from include import ledger

        with ledger.step(run["run_id"]) as db:
            ledger.finish(db, run["run_id"])
        outlet_events[CHAMPION].extra = {"as_of": run["as_of"]}

    run = begin()
    fitted = fit.partial(run=run).expand(model=models(run))
    [fitted, fit_segments(run), fit_value(run), fit_recommend(run)] >> finish(run)


train()
