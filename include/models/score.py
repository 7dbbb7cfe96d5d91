"""Score every customer with every champion into customer_score.parquet."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from include import domains, models, profile
from include.models import Model, files, registry, store
from include.models.base import dated, highest, rank
from include.models.in_use import horizon, outdated
from include.models.reasons import reasons
from include.models.registry import Champion, Connection

log = logging.getLogger(__name__)

DIGITS = 9
COLUMNS = [
    "customer_id", "model", "score", "percentile", "decile", "horizon_days", "model_version",
    "reason_1", "reason_2", "reason_3", "eligible", "ineligible_reason",
]  # fmt: skip


def score(db: Connection, folder: Path, as_of: date, out: Path) -> dict[str, Any]:
    """Write ``<out>/customer_score.parquet``: a row a customer and model that has a champion.

    Of the models that are wanted of this snapshot on this day: the champion of a category that is
    no longer among those bought most gives no scores.

    Returns
    -------
    rows, models (name -> version that scored) and left_out (name -> why there is no score).
    """
    profiles = profile.frame(folder, as_of).sort_index()
    scored, used, left_out = [pd.DataFrame(columns=COLUMNS)], {}, {}
    for name in models.wanted(folder, as_of):
        champion = registry.champion(db, name, as_of=as_of)
        if champion is None or champion.artifact is None:
            left_out[name] = "no champion; bi.model_run and bi.model_readiness say why"
            continue
        model = models.make(name)
        known = dated(model, profiles, folder, as_of)
        if reason := outdated(champion, known):
            left_out[name] = f"{champion.model_version}: {reason}; train again"
        else:
            used[name] = champion.model_version
            scored.append(scored_by(model, champion, known))
    table = pd.concat(scored[1:] or scored, ignore_index=True)
    table = table.sort_values(["model", "customer_id"], kind="stable")
    files.write(table, "mart.customer_score", out)
    log.info("scored %d customers with %d models; left out: %s", len(profiles), len(used), left_out)
    return {"rows": len(table), "models": used, "left_out": left_out}


def scored_by(model: Model, champion: Champion, profiles: pd.DataFrame) -> pd.DataFrame:
    """The rows of one model: scores of the eligible, with reasons where they are highest."""
    model.pipeline = store.loads(champion.artifact or b"")["published"]
    refused = model.ineligible(profiles)
    eligible = profiles[refused.isna()]
    scores = model.score(eligible).round(DIGITS)
    told = eligible[highest(scores, domains.load().models.reasons_share)]
    ranked = rank(scores).join(reasons(model.pipeline, told, model.own_features))
    table = ranked.reindex(profiles.index).reset_index(names="customer_id")
    return table.assign(
        model=model.name,
        horizon_days=horizon(champion),
        model_version=champion.model_version,
        eligible=refused.isna().to_numpy(),
        ineligible_reason=refused.to_numpy(),
    )[COLUMNS]
