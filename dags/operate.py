"""One DAG a form for operators.

`rollback` points BI at an earlier generation until the next publish. It takes a second and loses
nothing; the generations that can be chosen are those of `ops.generation` in state `ready`.
"""

from airflow.sdk import Param, dag, task
from house import DAG


@dag(
    schedule=None,
    params={
        "generation": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Generation",
            description="Empty: the one before the current one.",
        ),
    },
    tags=["operate"],
    doc_md=__doc__,
    **DAG,
)
def rollback():
    @task
    def point(dag_run, params) -> int:
        from include import ledger, warehouse
        from include.marts import generations

        run_id = f"{dag_run.dag_id}/{dag_run.run_id}"
        with ledger.step(run_id) as db:
            warehouse.deploy(db)
            ledger.begin(db, run_id)
            generation = generations.rollback(db, run_id=run_id, generation=params["generation"])
            ledger.finish(db, run_id)
        return generation

    point()


rollback()
