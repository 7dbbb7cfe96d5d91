"""Put every customer into a segment, and describe the segments: the work files of a publish.

While no segment model is in use, the RFM groups are the segments, under the groups' own names.
"""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include import domains, profile
from include.models import files, naming, registry, rule_segments, store
from include.models.base import fitted_features, matrix, single_thread
from include.models.groupings import Numbers
from include.models.in_use import outdated
from include.models.registry import Champion, Connection
from include.models.rfm import PROSPECT, dominant, rfm

log = logging.getLogger(__name__)

NAME = "segment"
DIGITS = 6
SHARE_DIGITS = 9
MAPPED = 2_000  # customers on the map
PROSPECT_WORDS = (
    "no purchase on record",
    "Known, but without an order that was bought and not only returned.",
)


def assign(db: Connection, folder: Path, as_of: date, out: Path) -> dict[str, Any]:
    """Write customer_segment, segment, segment_feature, segment_map, rule_segment and
    rule_segment_member into ``out``.

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
    drawn = pd.DataFrame({"x": [], "y": []}, dtype="float64")
    if champion is None:
        members, words = _groups(members)
    else:
        members, words, drawn = _learned(champion, profiles, members)
    members["segment_name"] = members["segment_key"].map({
        k: name for k, (name, _) in words.items()
    })
    files.write(members.reset_index(names="customer_id"), "mart.customer_segment", out)
    table = described(members, profiles, words)
    files.write(table, "mart.segment", out)
    files.write(naming.means(members["segment_key"], profiles), "mart.segment_feature", out)
    files.write(_map(drawn, members["segment_key"]), "mart.segment_map", out)
    _write_rule_segments(members, profiles, folder, as_of, out)
    version = champion.model_version if champion else None
    log.info("%d customers in %d segments of %s", len(members), len(table), version or "RFM")
    return {"customers": len(members), "segments": len(table), "model_version": version}


def _write_rule_segments(
    members: pd.DataFrame, profiles: pd.DataFrame, folder: Path, as_of: date, out: Path
) -> None:
    wanted = rule_segments.load()
    found = rule_segments.members(wanted, folder / f"profile_{as_of}.parquet", members, as_of)
    files.write(found, "mart.rule_segment_member", out)
    files.write(rule_segments.described(wanted, found, profiles), "mart.rule_segment", out)


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


def _learned(
    champion: Champion, profiles: pd.DataFrame, members: pd.DataFrame
) -> tuple[pd.DataFrame, Words, pd.DataFrame]:
    """The learned segment for buyers, the group of prospects for the rest; words; the map."""
    stored = store.loads(champion.artifact or b"")
    pipeline, keys = stored["published"], champion.card["keys"]
    members = members.assign(segment_key=PROSPECT, distance=np.nan)
    members["segment_key"] = members["segment_key"].astype("object")
    buyers = profiles[profiles["recency_days"].notna()]
    drawn = pd.DataFrame({"x": [], "y": []}, dtype="float64")
    if len(buyers):
        values = matrix(buyers, fitted_features(pipeline))
        with single_thread():
            labels = pipeline.predict(values)
            space = pipeline[:-1].transform(values)
            drawn = _placed(stored, space, buyers.index)
        # versions stored before there was more than k-means hold their centres in it
        centres = stored["centres"] if "centres" in stored else pipeline[-1].cluster_centers_
        apart = np.sqrt(((space - centres[labels]) ** 2).sum(axis=1))
        members.loc[buyers.index, "segment_key"] = np.array(keys, dtype="object")[labels]
        members.loc[buyers.index, "distance"] = apart.round(DIGITS)
    told = zip(champion.card["names"], champion.card["rules"], strict=True)
    words = dict(zip(keys, told, strict=True)) | {PROSPECT: PROSPECT_WORDS}
    return members, words, drawn


def _placed(stored: dict[str, Any], space: Numbers, customers: pd.Index) -> pd.DataFrame:
    """Where customers lie on the map that the version drew when it was trained."""
    if "map" not in stored:
        return pd.DataFrame({"x": [], "y": []}, dtype="float64")
    flat = stored["map"].transform(space)
    return pd.DataFrame({
        "x": flat[:, 0].round(DIGITS),
        "y": flat[:, -1].round(DIGITS) if flat.shape[1] > 1 else 0.0,
    }, index=customers)  # fmt: skip


def _map(drawn: pd.DataFrame, keys: pd.Series) -> pd.DataFrame:
    """At most ``MAPPED`` customers, the same ones as long as nobody comes or goes."""
    if len(drawn) > MAPPED:
        rows = np.random.default_rng(0).choice(len(drawn), MAPPED, replace=False)
        drawn = drawn.iloc[np.sort(rows)]
    return drawn.assign(segment_key=keys.reindex(drawn.index)).reset_index(names="customer_id")


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
