"""Which records are one person: keys in the order of ``RULES``, never two person_keys in one.

Pure: arrays in, arrays out. The result depends on the set of records alone, not on their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = npt.NDArray[np.int64]
RULES = ("person_key", "email", "phone", "alone")
ALONE = RULES.index("alone")


@dataclass(frozen=True)
class Records:
    """Hashed keys, one array a key and one place a record; 0 where a record has none."""

    person_key: Ints
    namespace: Ints  # of the person_key: two ids of one namespace are two people
    email: Ints
    phone: Ints
    last_name: Ints

    def __len__(self) -> int:
        return len(self.person_key)


@dataclass(frozen=True)
class Partition:
    """``stages[i]`` labels the group of each record once the first i + 1 rules are applied."""

    stages: tuple[Ints, ...]
    rule: Ints  # the place in RULES of the first rule that links the record to another one

    @property
    def group(self) -> Ints:
        """The person of each record, as a label that means nothing outside."""
        return self.stages[-1]


def partition(records: Records, *, max_records_per_key: int) -> Partition:
    """Join the records that share a key.

    A value that more than ``max_records_per_key`` records share says nothing and is ignored; so is
    one that would put two person_keys of one namespace together, directly or over a chain.
    """
    person_key = _rare(records.person_key, max_records_per_key)
    email = _rare(records.email, max_records_per_key)
    phone = _rare(records.phone, max_records_per_key)
    claims = _claims(person_key, records.namespace)
    labels: Ints = np.arange(len(records))
    rule: Ints = np.full(len(records), ALONE)
    stages = []
    for place in range(ALONE):
        values = (person_key, email, phone)[place]
        if RULES[place] == "phone":
            values = _phone_and_name(phone, _known_name(labels, records.last_name))
        labels, linked = _join(labels, values, claims)
        rule[linked & (rule == ALONE)] = place
        stages.append(labels)
    return Partition(tuple(stages), rule)


def _rare(values: Ints, most: int) -> Ints:
    """``values``, 0 where more than ``most`` records share one."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.where(count[place] > most, 0, values)


def _claims(person_key: Ints, namespace: Ints) -> pd.DataFrame:
    """The person_key of each record that has one: record, namespace, person_key."""
    record = np.flatnonzero(person_key)
    return pd.DataFrame({
        "record": record,
        "namespace": namespace[record],
        "person_key": person_key[record],
    })


def _known_name(labels: Ints, last_name: Ints) -> Ints:
    """``last_name``; a record without one has its group's, where the group has just one."""
    named = pd.DataFrame({"label": labels, "name": last_name})[last_name != 0]
    of_group = named.groupby("label")["name"].agg(["min", "max"])
    only = of_group.loc[of_group["min"] == of_group["max"], "min"]
    inherited = only.reindex(labels).fillna(0).to_numpy(np.int64)
    return np.where(last_name == 0, inherited, last_name)


def _phone_and_name(phone: Ints, name: Ints) -> Ints:
    """One value a phone and last name.

    Where a phone has one last name at most, records without a name belong to it too. Where it has
    several (a household, an office), nobody can tell whose they are, and they stay apart.
    """
    frame = pd.DataFrame({"phone": phone, "name": name})[phone != 0]
    names = frame["name"].where(frame["name"] != 0).groupby(frame["phone"]).transform("nunique")
    frame.loc[names <= 1, "name"] = 0
    frame = frame[(names <= 1) | (frame["name"] != 0)]
    values: Ints = np.zeros(len(phone), dtype=np.int64)
    # sorted by the hashes: the order of the values does not depend on that of the records
    values[frame.index] = frame.groupby(["phone", "name"], sort=True).ngroup() + 1
    return values


def _join(labels: Ints, values: Ints, claims: pd.DataFrame) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Groups after joining those that share a value, and which records such a value links."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    shared = (values != 0) & (count[place] > 1)
    joined = _components(labels, place, shared)
    owners = claims.assign(group=joined[claims["record"]])
    owners = owners[["group", "namespace", "person_key"]].drop_duplicates()
    torn = owners.loc[owners.duplicated(["group", "namespace"]), "group"].unique()
    if len(torn):
        refused = list(_conflicting(labels, values, shared & np.isin(joined, torn), claims))
        shared &= ~np.isin(values, refused)
        joined = _components(labels, place, shared)
    return joined, shared


def _components(labels: Ints, place: Ints, shared: npt.NDArray[np.bool_]) -> Ints:
    """Connected components of the graph of groups and the values that their records share."""
    values = int(place.max(initial=-1)) + 1
    nodes = values + int(labels.max(initial=-1)) + 1
    edge = (place[shared], values + labels[shared])
    graph = coo_array((np.ones(len(edge[0]), dtype=np.int8), edge), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    found: Ints = component[values + labels].astype(np.int64)
    return found


def _conflicting(
    labels: Ints, values: Ints, among: npt.NDArray[np.bool_], claims: pd.DataFrame
) -> Iterator[int]:
    """The values, of the records ``among``, that would put two person_keys of a namespace together.

    Values are taken from the least to the most shared, then by hash, each as a whole or not at all.
    """
    parent: dict[int, int] = {}

    def root(label: int) -> int:
        while (above := parent.get(label, label)) != label:
            parent[label] = label = parent.get(above, above)
        return label

    owners: dict[int, dict[int, int]] = {}
    owned = claims[np.isin(labels[claims["record"]], labels[among])]
    for label, namespace, person_key in zip(
        labels[owned["record"]].tolist(), owned["namespace"], owned["person_key"], strict=True
    ):
        owners.setdefault(label, {})[namespace] = person_key
    frame = pd.DataFrame({"value": values[among], "label": labels[among]})
    by_value = [(len(rows), value, rows) for value, rows in frame.groupby("value")["label"]]
    for _, value, rows in sorted(by_value, key=lambda item: item[:2]):
        roots = sorted({root(label) for label in rows.tolist()})
        pairs = {pair for one in roots for pair in owners.get(one, {}).items()}
        if len({namespace for namespace, _ in pairs}) < len(pairs):
            yield value
            continue
        owners[roots[0]] = dict(pairs)
        parent.update(dict.fromkeys(roots, roots[0]))
