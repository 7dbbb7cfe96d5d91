"""What the page asks of Airflow itself: who is reading, and which DAGs they may see and start.

The only file that touches Airflow's internal API (``core_api.security`` may change with any
release); tests/test_page.py runs it.
"""

from dataclasses import dataclass

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_authenticated
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from fastapi import Depends
from sqlalchemy import select

__all__ = ["PURPOSES", "SIGNED_IN", "Form", "Reader", "forms"]

FILES = ("ingest.py", "profile.py", "train.py", "publish.py", "operate.py")
"""Our DAG files, in the order of the flow."""
PURPOSES = {  # first word of a DAG's name -> what it does
    "ingest": "Copy what changed in a CRM",
    "reconcile": "Compare all of a CRM with what has landed, and mend it",
    "profile": "Work out who each customer is",
    "train": "Teach the models from the past",
    "publish": "Score everybody and switch BI over",
    "backfill": "Read some days of a CRM again",
    "replay": "Check again what was set aside",
    "rollback": "Go back to an earlier publish",
    "champion": "Use another version of a model",
    "review": "Say whether two records are one person",
}
Reader = GetUserDep
SIGNED_IN = Depends(requires_authenticated())  # a mounted application is public without it


@dataclass(frozen=True)
class Form:
    """One DAG of ours, as far as a reader may see it."""

    dag_id: str
    title: str
    purpose: str
    schedule: str
    paused: bool
    may_trigger: bool


def forms(user: BaseUser) -> list[Form]:
    """The DAGs of ``FILES`` that ``user`` may read, in the order of the flow."""
    with create_session() as session:
        known = session.scalars(
            select(DagModel).where(
                DagModel.relative_fileloc.in_(FILES), DagModel.is_stale.is_(False)
            )
        )
        ours = sorted(known, key=lambda dag: (FILES.index(dag.relative_fileloc), dag.dag_id))
        return [
            Form(
                dag_id=dag.dag_id,
                title=dag.dag_display_name,
                purpose=PURPOSES.get(dag.dag_id.partition("_")[0], ""),
                schedule=_in_words(dag),
                paused=dag.is_paused,
                may_trigger=_may(user, dag.dag_id, "POST", DagAccessEntity.RUN),
            )
            for dag in ours
            if _may(user, dag.dag_id, "GET")
        ]


def _in_words(dag: DagModel) -> str:
    summary, description = dag.timetable_summary, dag.timetable_description or ""
    if summary in {None, "None"}:  # Airflow writes the word
        return "by hand"
    if "Asset" in summary:
        return "when its inputs are new"
    return description[:1].lower() + description[1:] or f"at {summary}"


def _may(user: BaseUser, dag_id: str, method, entity: DagAccessEntity | None = None) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(
        method=method, access_entity=entity, details=details, user=user
    )
