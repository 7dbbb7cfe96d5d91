"""What every DAG here shares: owner, retries, one run at a time, and how one begins."""

import os
from datetime import timedelta

from airflow.sdk import (
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    task,
)

from include.errors import ConfigError, ContractError, InputError, NotFittedError, QualityError

REPEATING_DOES_NOT_HELP = (ConfigError, ContractError, InputError, NotFittedError, QualityError)

TASKS = {
    "owner": "portrait",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "execution_timeout": timedelta(hours=12),  # a server that never answers must not hang a run
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception=error, action=RetryAction.FAIL, reason="the message says what to do"
            )
            for error in REPEATING_DOES_NOT_HELP
        ]
    ),
}
DAG = {"max_active_runs": 1, "catchup": False, "default_args": TASKS}


def cron(expression: str | None) -> CronTriggerTimetable | None:
    """The schedule, in UTC; none where ``PORTRAIT_CRON=off`` (historic data that gets no news).

    A DAG that is new waits for the next moment. Airflow would run one at once that is late by up
    to a tenth of its interval: on a Sunday, training before there is anything to learn from.
    """
    if expression is None or os.environ.get("PORTRAIT_CRON") == "off":
        return None
    return CronTriggerTimetable(expression, timezone="UTC", run_immediately=timedelta(0))


@task
def begin(dag_run) -> str:
    """Bring the warehouse to the contracts, open the run in the ledger and return its id."""
    from include import ledger, warehouse

    run_id = f"{dag_run.dag_id}/{dag_run.run_id}"
    with ledger.step(run_id) as db:
        warehouse.deploy(db)
        ledger.begin(db, run_id)
    return run_id
