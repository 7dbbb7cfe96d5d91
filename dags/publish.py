"""Score, fill the marts, check them, and switch BI over; when a profile or a champion is new.

BI reads the last good generation until the switch, which is one row. Where counts jump beyond what
the domain file allows, `ask` waits for a person, with before and after in its message; without an
answer the old generation stays. Three generations are kept; `rollback` points BI at an earlier
one. Any task may be cleared.
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Asset, AssetAny, Param, dag, task
from house import DAG

from include.marts import MARTS

PROFILE, CHAMPION = Asset("customer_profile"), Asset("champion")
PUBLISHED = Asset("published")
PUBLISH, KEEP = "Publish", "Keep the old one"
ANSWER_WITHIN = timedelta(hours=12)  # then the old generation stays


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
        "guard": Param(
            "ask",
            type="string",
            enum=["ask", "keep", "publish"],
            values_display={
                "ask": "ask a person",
                "keep": "keep the old generation",
                "publish": "publish all the same",
            },
            title="If counts jump",
            description="By more than `guards` of the domain file allows.",
        ),
    },
    tags=["publish"],
    doc_md=__doc__,
    **DAG,
)
def publish():
    @task(multiple_outputs=False)
    def begin(dag_run, params, triggering_asset_events) -> dict[str, str]:
        from include import audiences, clock, domains, landing, ledger, paths, sources, warehouse
        from include.marts import generations
        from include.models import rule_segments

        run_id = f"{dag_run.dag_id}/{dag_run.run_id}"
        zone = domains.load().time_zone
        events = triggering_asset_events.get(PROFILE) or []
        wanted = params["as_of"] or (events[-1].extra.get("as_of") if events else None)
        with ledger.step(run_id) as db:
            warehouse.deploy(db)
            ledger.begin(db, run_id)
            for written in (audiences, rule_segments):
                written.load()  # what is wrong there fails now, not in an hour
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
                sources=sources.switched_on(),
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
        from include.marts.lift import lift
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
            compute(db, folder, day, work)
            lift(db, folder, day, work)

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
        from include.marts import checks
        from include.marts.generations import place

        generation, day = int(run["generation"]), date.fromisoformat(run["as_of"])
        with ledger.step(run["run_id"]) as db:
            checks.check(db, generation=generation, as_of=day, run_id=run["run_id"])
            places = [(f"mart.{table}", place(table, generation)) for table in MARTS]
            quality.check(db, places, run_id=run["run_id"], as_of=day)

    @task
    def attach(run: dict[str, str]) -> None:
        from datetime import date

        from include import ledger
        from include.marts import IN_DATABASE, audiences, checks, generations

        generation, day = int(run["generation"]), date.fromisoformat(run["as_of"])
        with ledger.step(run["run_id"]) as db:
            generations.attach(db, generation=generation, tables=MARTS)
            audiences.fill(db, generation=generation, as_of=day)
            checks.check(
                db, generation=generation, as_of=day, run_id=run["run_id"], rules=checks.AUDIENCES
            )
            generations.attach(db, generation=generation, tables=IN_DATABASE)

    @task.branch
    def guard(run: dict[str, str], params, ti) -> str:
        from datetime import date

        from include import ledger
        from include.marts import guard

        generation, day = int(run["generation"]), date.fromisoformat(run["as_of"])
        with ledger.step(run["run_id"]) as db:
            said = guard.reasons(db, generation=generation, as_of=day)
            asked = bool(said) and params["guard"] == "ask"
            if asked:
                ledger.says(db, run["run_id"], f"an answer to: {'; '.join(said)}")
        ti.xcom_push("reasons", [] if params["guard"] == "publish" else said)
        return "ask" if asked else "switch"

    ask = HITLOperator(
        task_id="ask",
        subject="Publish {{ ti.xcom_pull('begin')['as_of'] }} although its counts jump?",
        body=(
            "BI shows the old generation until you answer.\n\n"
            "{% for reason in ti.xcom_pull('guard', key='reasons') %}- {{ reason }}\n{% endfor %}"
        ),
        options=[PUBLISH, KEEP],
        defaults=[KEEP],
        response_timeout=ANSWER_WITHIN,
        execution_timeout=None,
    )

    @task(outlets=[PUBLISHED], trigger_rule="none_failed_min_one_success")
    def switch(run: dict[str, str], rows: list[int], ti, outlet_events) -> None:
        from datetime import date

        from airflow.sdk.exceptions import AirflowSkipException

        from include import ledger
        from include.marts import generations

        generation, day = int(run["generation"]), date.fromisoformat(run["as_of"])
        said, answer = ti.xcom_pull("guard", key="reasons"), ti.xcom_pull("ask")
        wanted = not said or PUBLISH in (answer or {}).get("chosen_options", ())
        with ledger.step(run["run_id"]) as db:
            if wanted:
                generations.switch(db, generation=generation, as_of=day, run_id=run["run_id"])
                ledger.finish(db, run["run_id"], rows_out=sum(rows), published=True)
            else:
                generations.give_up(db, generation)
                ledger.finish(db, run["run_id"], published=False)
                ledger.says(db, run["run_id"], _kept(said, (answer or {}).get("responded_by_user")))
        if not wanted:
            raise AirflowSkipException("the old generation stays")  # and no asset event
        outlet_events[PUBLISHED].extra = {"as_of": run["as_of"], "generation": run["generation"]}

    @task
    def outcomes(run: dict[str, str]) -> None:
        from datetime import date

        from include import ledger, snapshot
        from include.models import outcome

        day, folder = date.fromisoformat(run["as_of"]), snapshot.local(run["folder"])
        with ledger.step(run["run_id"]) as db:
            outcome.measure(db, folder, day, run_id=run["run_id"])
            outcome.log_scores(db, int(run["generation"]), run_id=run["run_id"])

    @task(trigger_rule="none_failed")
    def retire(run: dict[str, str]) -> list[int]:
        from pathlib import Path

        from include import ledger
        from include.marts import retire

        with ledger.step(run["run_id"]) as db:
            return retire.retire(db, work=Path(run["work"]))

    run = begin()
    rows = fill.partial(run=run).expand(table=MARTS)
    [score(run), recommend(run)] >> rows
    guarded, switched = guard(run), switch(run, rows)
    rows >> check(run) >> attach(run) >> guarded >> [ask, switched]
    ask >> switched >> [outcomes(run), retire(run)]


def _kept(said: list[str], by: dict[str, str] | None) -> str:
    """Why the old generation stays, and what to do about it."""
    who = f"{by['name']} kept the old one" if by else "nobody said that it may be shown"
    return (
        f"{'; '.join(said)}; {who}; look at the sources, then trigger publish with "
        "'If counts jump' on 'publish all the same', or make run ONLY=publish GUARD=publish"
    )


publish()
