"""Which customer_id each group of records has: minted once, kept over merges and splits.

Pure. An id belongs to the group that holds the record it was minted for (its anchor).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.identity.cluster import NO_PAIRS, Ints, Pairs
from include.identity.link import RULES, Partition


@dataclass(frozen=True)
class Event:
    """Records that went from one customer to another one."""

    event: str  # merged or split
    customer_id: int
    other_customer_id: int
    records: int
    reason: str


@dataclass(frozen=True)
class Assignment:
    """``customer_id`` of each record; ``minted`` maps each new id to the record it is for."""

    customer_id: Ints
    minted: dict[int, int]
    events: tuple[Event, ...]


def assign(
    found: Partition,
    known: Ints,
    anchors: dict[int, int | None],
    *,
    first_id: int,
    apart: Pairs = NO_PAIRS,
) -> Assignment:
    """Give every group of records its customer.

    Parameters
    ----------
    found : the groups; records are in the order of (source, source_id).
    known : the customer_id that each record has had so far, 0 for a new record.
    anchors : for every customer_id of these records, or ever minted for one, the record it was
        minted for; None when that record is gone: then the customer's first stands for it.
    first_id : the next customer_id to mint.
    apart : pairs that a person said are two, which is the reason of a split between them.
    """
    homes = _homes(found.group, known, anchors)
    holders = homes.sort_values(["group", "retired", "customer_id"]).groupby("group").first()
    held = holders["customer_id"].reindex(found.group).fillna(0)
    customer_id = held.to_numpy(np.int64, copy=True)
    homeless = pd.Series(found.group[customer_id == 0])
    codes, groups = pd.factorize(homeless)  # in the order of each group's first record
    first_record = np.flatnonzero(customer_id == 0)[np.unique(codes, return_index=True)[1]]
    customer_id[customer_id == 0] = first_id + codes
    minted = {first_id + place: int(first_record[place]) for place in range(len(groups))}
    events = _events(found, known, customer_id, homes.set_index("customer_id"), apart)
    return Assignment(customer_id, minted, events)


def _homes(group: Ints, known: Ints, anchors: dict[int, int | None]) -> pd.DataFrame:
    """customer_id, anchor, its group, and whether a merge has retired the id."""
    has = np.flatnonzero(known)
    stand_in = pd.Series(has, index=known[has]).groupby(level=0).min()
    homes = pd.DataFrame({
        "customer_id": np.fromiter(anchors, np.int64, len(anchors)),
        "anchor": pd.array(list(anchors.values()), dtype="Int64"),
    })
    homes["anchor"] = homes["anchor"].fillna(homes["customer_id"].map(stand_in).astype("Int64"))
    homes = homes.dropna().astype(np.int64)
    return homes.assign(
        group=group[homes["anchor"]], retired=known[homes["anchor"]] != homes["customer_id"]
    )


def _events(
    found: Partition, known: Ints, now: Ints, homes: pd.DataFrame, apart: Pairs
) -> tuple[Event, ...]:
    ends = found.group[apart.l].tolist(), found.group[apart.r].tolist()
    told_apart = set(map(frozenset, zip(*ends, strict=True)))
    moved = np.flatnonzero((known != 0) & (known != now))
    frame = pd.DataFrame({"old": known[moved], "new": now[moved], "group": found.group[moved]})
    counts = frame.groupby(["old", "new", "group"], sort=True).size()
    events = []
    for (old, new, group), records in counts.items():
        if homes.at[old, "group"] == group:
            reason = _joined_by(found, homes.at[old, "anchor"], homes.at[new, "anchor"])
            events.append(Event("merged", old, new, int(records), reason))
        else:
            reason = "no key links them to the customer's first record any more"
            if frozenset({group, int(homes.at[old, "group"])}) in told_apart:
                reason = "a person said that they are two"
            events.append(Event("split", old, new, int(records), reason))
    return tuple(events)


def _joined_by(found: Partition, one: int, other: int) -> str:
    """The first rule that puts two records into one group, in words."""
    for rule, group in zip(RULES, found.stages, strict=False):
        if group[one] == group[other]:
            return f"joined by {rule}"
    raise ValueError(f"records {one} and {other} are not in one group")
