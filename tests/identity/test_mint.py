"""Which id a person has, over runs: (group of each record, ids so far, anchors) -> ids, events."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.identity.link import Partition
from include.identity.mint import Assignment, assign


def assigned(groups: list[int], known: list[int], anchors: dict[int, int | None]) -> Assignment:
    labels = np.array(groups, dtype=np.int64)
    found = Partition((labels, labels, labels), np.zeros_like(labels), np.ones(len(labels)))
    first_id = max(anchors, default=0) + 1
    return assign(found, np.array(known, dtype=np.int64), anchors, first_id=first_id)


def events(given_ids: Assignment) -> list[tuple]:
    return [(e.event, e.customer_id, e.other_customer_id, e.records) for e in given_ids.events]


def test_ids_are_minted_in_the_order_of_first_records():
    result = assigned([7, 4, 7, 5], [0, 0, 0, 0], {})
    assert (result.customer_id.tolist(), result.minted) == ([1, 2, 1, 3], {1: 0, 2: 1, 3: 3})


def test_a_new_record_joins_the_customer_it_belongs_to():
    result = assigned([0, 1, 0], [1, 2, 0], {1: 0, 2: 1})
    assert (result.customer_id.tolist(), result.minted, result.events) == ([1, 2, 1], {}, ())


def test_a_merge_keeps_the_older_id():
    result = assigned([0, 0, 0], [2, 1, 2], {1: 1, 2: 0})
    assert result.customer_id.tolist() == [1, 1, 1]
    assert events(result) == [("merged", 2, 1, 2)]


def test_a_split_leaves_the_id_with_the_first_record():
    result = assigned([0, 1, 1], [1, 1, 1], {1: 0})
    assert (result.customer_id.tolist(), result.minted) == ([1, 2, 2], {2: 1})
    assert events(result) == [("split", 1, 2, 2)]


def test_a_merge_that_is_undone_gives_the_retired_id_back():
    result = assigned([0, 1], [1, 1], {1: 0, 2: 1})
    assert (result.customer_id.tolist(), result.minted) == ([1, 2], {})
    assert events(result) == [("split", 1, 2, 1)]


def test_a_retired_id_does_not_take_a_living_customer_over():
    # record 1, for which 2 was minted before 1 took it over, moves to customer 3
    result = assigned([0, 1, 1], [1, 1, 3], {1: 0, 2: 1, 3: 2})
    assert result.customer_id.tolist() == [1, 3, 3]
    assert events(result) == [("split", 1, 3, 1)]


def test_an_id_whose_first_record_is_gone_stays_with_the_next_one():
    result = assigned([0, 0], [1, 1], {1: None})
    assert (result.customer_id.tolist(), result.events) == ([1, 1], ())


def test_an_id_is_never_minted_twice():
    assert assigned([0], [0], {1: None, 5: None}).minted == {6: 0}


groupings = st.lists(st.lists(st.integers(0, 4), min_size=8, max_size=8), min_size=1, max_size=5)


@settings(deadline=None, max_examples=80)
@given(groupings=groupings)
def test_people_and_ids_agree_and_a_second_run_changes_nothing(groupings):
    known, anchors = [0] * 8, {}
    for groups in groupings:
        result = assigned(groups, known, anchors)
        known = result.customer_id.tolist()
        anchors |= result.minted
        assert len(set(zip(groups, known, strict=True))) == len(set(groups)) == len(set(known))
        again = assigned(groups, known, anchors)
        assert (again.customer_id.tolist(), again.minted, again.events) == (known, {}, ())
