"""What each ``make run`` imports and builds before its first task: done once, for every fork.

Airflow's in-process API puts its routes together at the first request (7 s of CPU, with its
imports); asking it for its health does that, without a thread or a connection that a fork would
share.
"""

import asyncio

import duckdb  # noqa: F401
import great_expectations  # noqa: F401
import httpx
import pyarrow.parquet  # noqa: F401
import skops.io  # noqa: F401
import sklearn.cluster  # noqa: F401
import sklearn.linear_model  # noqa: F401
import sklearn.pipeline  # noqa: F401
import sqlglot  # noqa: F401
from airflow.dag_processing import dagbag  # noqa: F401
from airflow.providers.standard.operators import python  # noqa: F401
from airflow.sdk.execution_time import supervisor
from sqlalchemy.orm import configure_mappers


async def _ask_for_health() -> None:
    transport = supervisor.in_process_api_server().atransport
    async with httpx.AsyncClient(transport=transport, base_url="http://in-process") as client:
        await client.get("/health")


configure_mappers()
asyncio.run(_ask_for_health())
