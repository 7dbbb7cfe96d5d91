"""Which records are one person: the rules in the order of ``RULES``, never against a claim.

A claim is what tells records apart: a person_key of a namespace, or a person's word. Pure: arrays
in, arrays out. The result depends on the set of records alone, not on their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from include.identity.cluster import NO_PAIRS, Allowed, Flags, Floats, Ints, Pairs, join

KEYS = ("person_key", "email", "phone")
RULES = (*KEYS, "confirmed", "probable", "alone")
ALONE = RULES.index("alone")


@dataclass(frozen=True)
class Records:
    """Hashed keys, one array a key and one place a record; 0 where a record has none."""

    person_key: Ints
    namespace: Ints  # of the person_key: two ids of one namespace are two people
    email: Ints
    phone: Ints
    code: Ints  # the calling code of the phone's country, where it is known
    last_name: Ints

    def __len__(self) -> int:
        return len(self.person_key)


def without_keys(count: int) -> Records:
    """Records that have no key."""
    none: Ints = np.zeros(count, dtype=np.int64)
    return Records(none, none, none, none, none, none)


@dataclass(frozen=True)
class Links:
    """What is known of pairs of records beside their keys."""

    probable: Pairs = NO_PAIRS
    confirmed: Pairs = NO_PAIRS  # a person said that they are one
    apart: Pairs = NO_PAIRS  # a person said that they are two
    source: Ints | None = None  # of each record; None: sources tell nothing apart
    same_source: bool = False  # may a probable pair of one source be one person
    most: int = 20  # records of one person beyond which a probable pair joins no more


NO_LINKS = Links()


@dataclass(frozen=True)
class Partition:
    """``stages[i]`` labels the group of each record once the first i + 1 rules are applied."""

    stages: tuple[Ints, ...]
    rule: Ints  # the place in RULES of the first rule that links the record to another one
    probability: Floats  # of that link

    @property
    def group(self) -> Ints:
        """The person of each record, as a label that means nothing outside."""
        return self.stages[-1]


def partition(records: Records, *, max_records_per_key: int, links: Links = NO_LINKS) -> Partition:
    """Join the records that share a key, then those that ``links`` says are one.

    A value that more than ``max_records_per_key`` records share says nothing and is ignored; so is
    one that would put two person_keys of one namespace together, directly or over a chain.
    """
    person_key = _rare(records.person_key, max_records_per_key)
    email = _rare(records.email, max_records_per_key)
    phone = _with_name(_rare(records.phone, max_records_per_key), records.code)
    claims = pd.concat([_claims(person_key, records.namespace), _told_apart(links.apart)])
    labels: Ints = np.arange(len(records))
    rule: Ints = np.full(len(records), ALONE)
    stages = []
    for place in range(len(KEYS)):
        values = (person_key, email, phone)[place]
        if KEYS[place] != "person_key":
            values = _with_name(values, _known_name(labels, records.last_name))
        labels, linked = _join(labels, values, claims)
        rule[linked & (rule == ALONE)] = place
        stages.append(labels)
    probability = np.ones(len(records))
    labels, used = join(labels, links.confirmed, claims, most=len(records))
    _note(links.confirmed, used, "confirmed", rule, probability)
    stages.append(labels)
    one_each = claims if links.source is None else pd.concat([claims, _one_each(links.source)])
    labels, used = join(labels, links.probable, one_each, most=links.most, unless=_within(links))
    _note(links.probable, used, "probable", rule, probability)
    stages.append(labels)
    return Partition(tuple(stages), rule, probability)


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


def _note(pairs: Pairs, used: Flags, name: str, rule: Ints, probability: Floats) -> None:
    """Give the records that nothing but these pairs links their rule and their surest link."""
    ends = np.concatenate([pairs.l[used], pairs.r[used]])
    sure = np.zeros(len(rule))
    odds = np.exp2(np.tile(pairs.weight[used], 2))
    np.maximum.at(sure, ends, np.round(1 - 1 / (1 + odds), 6))
    first = (rule == ALONE) & (sure > 0)
    rule[first], probability[first] = RULES.index(name), sure[first]


def _within(links: Links) -> Allowed:
    """The probable pairs of one source: twice the same person, where that may be.

    Over a record of another source two of one source are never joined: it may be either's.
    """
    if links.source is None or not links.same_source:
        return frozenset()
    pairs = links.probable
    same = links.source[pairs.l] == links.source[pairs.r]
    return frozenset(zip(pairs.l[same].tolist(), pairs.r[same].tolist(), strict=True))


def _told_apart(apart: Pairs) -> pd.DataFrame:
    """A namespace for each pair, in which its two records have different ids."""
    namespace = -1 - np.arange(len(apart))
    return pd.DataFrame({
        "record": np.concatenate([apart.l, apart.r]),
        "namespace": np.tile(namespace, 2),
        "person_key": np.repeat(np.array([-1, -2]), len(apart)),
    })


def _one_each(source: Ints) -> pd.DataFrame:
    """Each source as a namespace, in which each of its records is somebody else."""
    places = np.arange(len(source))
    return pd.DataFrame({"record": places, "namespace": source, "person_key": places})


def _known_name(labels: Ints, last_name: Ints) -> Ints:
    """``last_name``; a record without one has its group's, where the group has just one."""
    named = pd.DataFrame({"label": labels, "name": last_name})[last_name != 0]
    of_group = named.groupby("label")["name"].agg(["min", "max"])
    only = of_group.loc[of_group["min"] == of_group["max"], "min"]
    inherited = only.reindex(labels).fillna(0).to_numpy(np.int64)
    return np.where(last_name == 0, inherited, last_name)


def _with_name(shared: Ints, name: Ints) -> Ints:
    """One value an e-mail or phone and last name, or a phone and country.

    Where it has one name at most, records without a name belong to it too. Where it has several
    (a household, an office, a slip of the pen), likeness has to tell whose they are.
    """
    frame = pd.DataFrame({"shared": shared, "name": name})[shared != 0]
    names = frame["name"].where(frame["name"] != 0).groupby(frame["shared"]).transform("nunique")
    frame.loc[names <= 1, "name"] = 0
    frame = frame[(names <= 1) | (frame["name"] != 0)]
    values: Ints = np.zeros(len(shared), dtype=np.int64)
    # sorted by the hashes: the order of the values does not depend on that of the records
    values[frame.index] = frame.groupby(["shared", "name"], sort=True).ngroup() + 1
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
