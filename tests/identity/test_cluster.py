"""Groups joined by pairs, in literal examples and for any order of pairs."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from include.identity.cluster import Pairs, join

Pair = tuple[int, int, float]
Claim = tuple[int, int, int]  # record, namespace, person_key


def people(
    records: int, pairs: list[Pair], claims: list[Claim] | None = None, most: int = 20, unless=()
) -> list[list[int]]:
    """The records of each person, in order of the first."""
    l, r, weight = zip(*pairs, strict=True) if pairs else ((), (), ())  # noqa: E741
    given_pairs = Pairs(np.array(l, int), np.array(r, int), np.array(weight, float))
    frame = pd.DataFrame(claims or [], columns=["record", "namespace", "person_key"], dtype=int)
    labels, _ = join(np.arange(records), given_pairs, frame, most=most, unless=frozenset(unless))
    groups: dict[int, list[int]] = {}
    for place, group in enumerate(labels.tolist()):
        groups.setdefault(group, []).append(place)
    return sorted(groups.values())


def test_a_chain_of_pairs_is_one_person():
    assert people(4, [(0, 1, 5), (1, 2, 4)]) == [[0, 1, 2], [3]]


def test_the_surest_pair_wins_a_record_that_two_people_claim():
    claims = [(0, 9, 1), (2, 9, 2)]
    assert people(3, [(0, 1, 4), (1, 2, 5)], claims) == [[0], [1, 2]]


def test_a_group_grows_to_its_limit_and_no_further():
    chain = [(0, 1, 9), (1, 2, 8), (2, 3, 7)]
    assert people(4, chain, most=3) == [[0, 1, 2], [3]]


def test_two_of_one_source_are_joined_by_their_own_pair_only():
    claims = [(0, 9, 0), (2, 9, 2)]  # records 0 and 2 are of source 9
    pairs = [(0, 1, 5), (1, 2, 4)]
    assert people(3, pairs, claims) == [[0, 1], [2]]
    assert people(3, [*pairs, (0, 2, 3)], claims, unless=[(0, 2)]) == [[0, 1, 2]]


PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 3)), max_size=25
).map(lambda found: [(min(a, b), max(a, b), float(w)) for a, b, w in found if a != b])


@settings(max_examples=150, deadline=None)
@given(PAIRS, st.permutations(range(25)), st.integers(2, 6))
def test_any_order_of_pairs_gives_the_same_people(pairs, order, most):
    claims = [(0, 9, 1), (1, 9, 2), (2, 8, 1), (3, 8, 2), (4, 8, 2)]
    shuffled = [pairs[place] for place in order if place < len(pairs)]
    found = people(10, pairs, claims, most=most)
    assert people(10, shuffled, claims, most=most) == found
    assert max(map(len, found)) <= most
    assert all(not {0, 1} <= {*group} for group in found)
