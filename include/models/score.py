"""Score every customer with every champion into customer_score.parquet."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from include import profile
from include.models import MODELS, Model, files, registry, store
from include.models.base import rank
from include.models.reasons import reasons
from include.models.registry import Champion, Connection
from include.models.train import horizon, outdated

log = logging.getLogger(__name__)

DIGITS = 9
COLUMNS = [
    "customer_id", "model", "score", "percentile", "decile", "horizon_days", "model_version",
    "reason_1", "reason_2", "reason_3", "eligible", "ineligible_reason",
]  # fmt: skip


def score(db: Connection, folder: Path, as_of: date, out: Path) -> dict[str, Any]:
    """Write ``<out>/customer_score.parquet``: a row a customer and model that has a champion.

    Returns
    -------
    rows, models (name -> version that scored) and left_out (name -> why there is no score).
    """
    profiles = profile.frame(folder, as_of).sort_index()
    scored, used, left_out = [pd.DataFrame(columns=COLUMNS)], {}, {}
    for name, make in MODELS.items():
        champion = registry.champion(db, name, as_of=as_of)
        if champion is None or champion.artifact is None:
            left_out[name] = "no champion; bi.model_run and bi.model_readiness say why"
        elif reason := outdated(champion, profiles):
            left_out[name] = f"{champion.model_version}: {reason}; train again"
        else:
            used[name] = champion.model_version
            scored.append(_scored(make(), champion, profiles))
    table = pd.concat(scored[1:] or scored, ignore_index=True)
    table = table.sort_values(["model", "customer_id"], kind="stable")
    files.write(table, "mart.customer_score", out)
    log.info("scored %d customers with %d models; left out: %s", len(profiles), len(used), left_out)
    return {"rows": len(table), "models": used, "left_out": left_out}


def _scored(model: Model, champion: Champion, profiles: pd.DataFrame) -> pd.DataFrame:
    model.pipeline = store.loads(champion.artifact or b"")["published"]
    refused = model.ineligible(profiles)
    eligible = profiles[refused.isna()]
    scores = model.score(eligible).round(DIGITS)
    ranked = pd.concat([rank(scores), reasons(model.pipeline, eligible)], axis=1)
    table = ranked.reindex(profiles.index).reset_index(names="customer_id")
    return table.assign(
        model=model.name,
        horizon_days=horizon(champion),
        model_version=champion.model_version,
        eligible=refused.isna().to_numpy(),
        ineligible_reason=refused.to_numpy(),
    )[COLUMNS]
