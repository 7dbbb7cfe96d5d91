"""What each ``make run`` imports and builds before its first task: done once, for every fork.

Airflow's in-process API puts its routes together at the first request (7 s of CPU, with its
imports); asking it for its health does that, without a thread or a connection that a fork would
share.
"""

import asyncio
from importlib import import_module

import httpx
from airflow.sdk.execution_time import supervisor
from sqlalchemy.orm import configure_mappers

LIBRARIES = [
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.operators.python",
    "duckdb",
    "great_expectations",
    "pyarrow.parquet",
    "sklearn.cluster",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "skops.io",
    "sqlglot",
]


async def _ask_for_health() -> None:
    transport = supervisor.in_process_api_server().atransport
    async with httpx.AsyncClient(transport=transport, base_url="http://in-process") as client:
        await client.get("/health")


for name in LIBRARIES:
    import_module(name)
configure_mappers()
asyncio.run(_ask_for_health())
