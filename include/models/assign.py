"""Put every customer into a segment: customer_segment.parquet and segment.parquet.

While no segment model is in use, the RFM groups are the segments, under the groups' own names.
"""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include import domains, profile
from include.models import files, naming, registry, store
from include.models.base import fitted_features, matrix, single_thread
from include.models.registry import Champion, Connection
from include.models.rfm import PROSPECT, dominant, rfm
from include.models.train import outdated

log = logging.getLogger(__name__)

NAME = "segment"
DIGITS = 6
SHARE_DIGITS = 9
PROSPECT_WORDS = (
    "no purchase on record",
    "Known, but without an order that was bought and not only returned.",
)


def assign(db: Connection, folder: Path, as_of: date, out: Path) -> dict[str, Any]:
    """Write both files into ``out``.

    Returns
    -------
    customers, segments and model_version (None: the RFM groups), small and JSON-able.
    """
    profiles = profile.frame(folder, as_of).sort_index()
    members = rfm(profiles)
    champion = registry.champion(db, NAME, as_of=as_of)
    if champion is not None and (reason := outdated(champion, profiles)):
        log.warning("%s: %s; train again, RFM groups until then", champion.model_version, reason)
        champion = None
    if champion is None:
        members, words = _groups(members)
    else:
        members, words = _nearest(champion, profiles, members)
    members["segment_name"] = members["segment_key"].map({
        k: name for k, (name, _) in words.items()
    })
    files.write(members.reset_index(names="customer_id"), "mart.customer_segment", out)
    table = described(members, profiles, words)
    files.write(table, "mart.segment", out)
    version = champion.model_version if champion else None
    log.info("%d customers in %d segments of %s", len(members), len(table), version or "RFM")
    return {"customers": len(members), "segments": len(table), "model_version": version}


Words = dict[str, tuple[str, str]]  # segment_key -> name, rule


def _groups(members: pd.DataFrame) -> tuple[pd.DataFrame, Words]:
    words = {
        group: (group.replace("_", " "), f"RFM group {group}; codes {_codes(rows)}.")
        for group, rows in members.groupby("rfm_segment")
        if group != PROSPECT
    }
    members = members.assign(segment_key=members["rfm_segment"], distance=np.nan)
    return members, words | {PROSPECT: PROSPECT_WORDS}


def _codes(rows: pd.DataFrame) -> str:
    return ", ".join(sorted(rows["rfm_code"].unique()))


def _nearest(
    champion: Champion, profiles: pd.DataFrame, members: pd.DataFrame
) -> tuple[pd.DataFrame, Words]:
    """The nearest centre for buyers, the group of prospects for the rest."""
    pipeline = store.loads(champion.artifact or b"")["published"]
    keys = champion.card["keys"]
    members = members.assign(segment_key=PROSPECT, distance=np.nan)
    buyers = profiles[profiles["recency_days"].notna()]
    if len(buyers):
        with single_thread():
            apart = pipeline.transform(matrix(buyers, fitted_features(pipeline)))
        nearest = np.array(keys, dtype="object")[apart.argmin(axis=1)]
        members["segment_key"] = members["segment_key"].astype("object")
        members.loc[buyers.index, "segment_key"] = nearest
        members.loc[buyers.index, "distance"] = apart.min(axis=1).round(DIGITS)
    told = zip(champion.card["names"], champion.card["rules"], strict=True)
    return members, dict(zip(keys, told, strict=True)) | {PROSPECT: PROSPECT_WORDS}


def described(members: pd.DataFrame, profiles: pd.DataFrame, words: Words) -> pd.DataFrame:
    """A row a segment that has customers: size, revenue, what sets it apart, what to do."""
    actions = domains.load().segments.actions
    total = profiles["revenue"].sum()
    rows = []
    for key, rows_of in members.groupby("segment_key"):
        own = profiles.loc[rows_of.index]
        share = own["revenue"].sum() / total if total > 0 else np.nan
        rows.append({
            "segment_key": key,
            "name": words[key][0],
            "rule": words[key][1],
            "customers": len(own),
            "customer_share": len(own) / len(profiles),
            "revenue_share": round(share, SHARE_DIGITS) + 0.0,  # -0.0 + 0.0 is 0.0
            "distinguishing_features": naming.differences(own, profiles),
            "suggested_action": actions.get(dominant(rows_of["rfm_segment"])),
        })
    columns = [
        "segment_key", "name", "rule", "customers", "customer_share", "revenue_share",
        "distinguishing_features", "suggested_action",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
