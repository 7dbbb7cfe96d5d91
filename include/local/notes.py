"""What ``make run`` adds when nothing failed and yet something stays empty: one line each."""

from collections.abc import Iterable

from psycopg import sql

from include import sources, warehouse
from include.sources import ENTITIES, Source


def on_sources(db: warehouse.Connection, names: Iterable[str]) -> list[str]:
    """Say which entities never gave a row, and which no source that is on maps."""
    on = [sources.load(name) for name in names]
    mapped = {entity for source in on for entity in source.entities}
    empty = [
        f"{source.name}.{entity}"
        for source in on
        for entity in source.entities
        if not _landed(db, source, entity)
    ]
    unmapped = [entity for entity in ENTITIES if entity not in mapped]
    said = []
    if empty:
        files = ", ".join(dict.fromkeys(f"{name.partition('.')[0]}.yaml" for name in empty))
        said.append(
            f"no rows so far: {', '.join(empty)}; look at the select in {files} if that is wrong; "
            "nothing was lost"
        )
    if unmapped:
        said.append(
            f"not mapped by {', '.join(source.name for source in on)}: {', '.join(unmapped)}; what "
            "rests on them stays empty; map them in include/sources where a system has them"
        )
    return said


def _landed(db: warehouse.Connection, source: Source, entity: str) -> bool:
    table = warehouse.name(f"landing.{entity}")
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE source = %s)").format(table)
    return db.execute(query, [source.name]).fetchone() == (True,)


def on_models(db: warehouse.Connection) -> list[str]:
    """Say which models have too little to learn from, and never had enough."""
    rows = db.execute(
        """SELECT DISTINCT model FROM ops.model_readiness WHERE gap > 0 AND model NOT IN (
               SELECT model FROM ops.model_version WHERE champion) ORDER BY model"""
    ).fetchall()
    if not rows:
        return []
    return [
        f"too little to learn from: {', '.join(model for (model,) in rows)}; everything else is "
        "published; bi.model_readiness says what they need"
    ]
