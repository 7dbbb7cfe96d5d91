"""One DAG a form for operators: go back, read again, try again what was set aside."""

from airflow.sdk import Asset, AssetAlias, Param, dag, task
from house import DAG, begin

from include import sources
from include.sources import ENTITIES

CHAMPION = Asset("champion")
MENDED = AssetAlias("mended")
"""Stands for `landing_<source>` of each source whose rows a form changed."""
ON = sources.switched_on()


def choice(values, *, title: str, empty: str) -> Param:
    """A list to choose one from, or none."""
    return Param(
        None,
        type=["null", "string"],
        enum=[None, *values],
        values_display={"null": empty},
        title=title,
        description=f"Empty: {empty}.",
    )


@task(multiple_outputs=False, outlets=[MENDED])
def done(run: str, outlet_events) -> dict[str, float | None]:
    """Close the run; profiles follow for the sources whose rows changed."""
    from include import ledger

    with ledger.step(run) as db:
        counts = ledger.loaded(db, run)
        ledger.finish(db, run, **counts)
        for name in ledger.changed(db, run):
            outlet_events[MENDED].add(Asset(f"landing_{name}"))
    return counts


@dag(
    schedule=None,
    params={
        "source": choice(ON, title="Source", empty="all that are on"),
        "entity": choice(ENTITIES, title="Entity", empty="all of them"),
    },
    tags=["operate"],
    **DAG,
)
def replay():
    """Check the rows of `ops.quarantine` again and land those that keep the rules now: after a
    rule was changed in a contract or a mapping, or a `payload` in the quarantine was put right.
    The rest stays set aside, and the source is not asked: what was mended there comes with the
    next ingest. Counts are in `bi.load`, what is left in `bi.quarantine_count`.
    """

    @task
    def choose(params) -> list[str]:
        return [params["source"]] if params["source"] else sources.switched_on()

    @task(map_index_template="{{ source }}")
    def land(run: str, source: str, params) -> None:
        from airflow.sdk import get_current_context

        from include import landing, ledger

        get_current_context()["source"] = source
        with ledger.step(run) as db:
            landing.replay(db, run_id=run, source=source, entity=params["entity"])

    run = begin()
    land.partial(run=run).expand(source=choose()) >> done(run)


@dag(
    schedule=None,
    params={
        "source": Param(
            type="string", enum=ON, title="Source", description="Whose rows are read again."
        ),
        "entity": choice(ENTITIES, title="Entity", empty="all that the source has"),
        "since": Param(
            type="string",
            format="date",
            title="Since",
            description="The first day of changes to read, in the time zone of the source.",
        ),
        "until": Param(
            type="string",
            format="date",
            title="Until",
            description="The day after the last one: changes of this day are not read any more.",
        ),
    },
    tags=["operate"],
    **DAG,
)
def backfill():
    """Read again what changed in a source between two days, by its cursor: after a mapping got
    another column, say. The second day is not read any more. An entity without a cursor is read
    whole. The watermark stays where it is, nothing is marked deleted, and rows that are as they
    have landed are not written. One table's failure leaves the others landed and the run red.
    """

    @task
    def choose(run: str, params) -> list[str]:
        from include import ledger
        from include.errors import InputError

        with ledger.step(run):
            mapped = list(sources.load(params["source"]).entities)
            if params["entity"] and params["entity"] not in mapped:
                raise InputError(
                    f"{params['source']}.yaml maps no {params['entity']}: give one of "
                    f"{', '.join(mapped)}, or none for all"
                )
        return [params["entity"]] if params["entity"] else mapped

    @task(map_index_template="{{ entity }}")
    def read(run: str, entity: str, params) -> None:
        from datetime import date

        from airflow.sdk import get_current_context

        from include import landing, ledger

        get_current_context()["entity"] = entity
        since, until = (date.fromisoformat(params[name]) for name in ("since", "until"))
        with ledger.step(run) as db:
            source = sources.load(params["source"])
            landing.backfill(source, entity, db, run_id=run, since=since, until=until)

    run = begin()
    read.partial(run=run).expand(entity=choose(run)) >> done(run)


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
    **DAG,
)
def rollback():
    """Point BI at an earlier generation until the next publish. It takes a second and loses
    nothing; the generations that can be chosen are those of `ops.generation` in state `ready`.
    """

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


@dag(
    schedule=None,
    params={
        "record": Param(
            type="string",
            title="Record",
            description="As the Portrait page shows it: source:source_id, such as shop:1042.",
        ),
        "other": Param(
            type="string",
            title="Other record",
            description="Also as source:source_id. Which of the two comes first is all the same.",
        ),
        "decision": Param(
            type="string",
            enum=["confirmed", "split"],
            values_display={"confirmed": "one person", "split": "two people"},
            title="Decision",
            description="The next run of profile acts on it. To change it later, answer again.",
        ),
    },
    tags=["operate"],
    **DAG,
)
def review():
    """Say whether two records are one person. The pairs that wait are on the Portrait page and in
    `bi.identity_review`; any other pair may be decided, too, which is how a wrong link is undone.
    The next run of `profile` acts on it, and every later one keeps to it until it is decided anew.
    """

    @task
    def decide(dag_run, params) -> None:
        from include import ledger, warehouse
        from include.identity import review

        run_id = f"{dag_run.dag_id}/{dag_run.run_id}"
        with ledger.step(run_id) as db:
            warehouse.deploy(db)
            ledger.begin(db, run_id)
            by = f"{dag_run.triggering_user_name or 'unknown'}, {run_id}"
            review.decide(db, params["record"], params["other"], params["decision"], by=by)
            ledger.finish(db, run_id)

    decide()


@dag(
    schedule=None,
    params={
        "model": Param(
            type="string",
            title="Model",
            description="As `bi.model_run` names it: churn, purchase, segment, value, recommend …",
        ),
        "version": Param(
            None,
            type=["null", "string"],
            title="Version",
            description="Empty: the one that was in use before the champion.",
        ),
    },
    tags=["operate"],
    **DAG,
)
def champion():
    """Use another version of a model: go back to an earlier one, or say yes to one that asks for
    a person. `bi.model_run` lists the versions, what was decided of each and why; one that the gate
    refused cannot be chosen. A publish follows. It stays in use until a challenger really beats it.
    """

    @task(outlets=[CHAMPION])
    def choose(dag_run, params, outlet_events) -> str:
        from include import ledger, warehouse
        from include.models.choose import choose

        run_id = f"{dag_run.dag_id}/{dag_run.run_id}"
        with ledger.step(run_id) as db:
            warehouse.deploy(db)
            ledger.begin(db, run_id)
            by = f"{dag_run.triggering_user_name or 'unknown'}, {run_id}"
            version = choose(db, params["model"], params["version"], by=by, run_id=run_id)
            ledger.finish(db, run_id)
        outlet_events[CHAMPION].extra = {"version": version}
        return version

    choose()


replay()
backfill()
rollback()
review()
champion()
