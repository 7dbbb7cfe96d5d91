"""Which records are one person, in literal examples and for any order of records."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.identity.link import RULES, Records, partition

# (person_key, namespace, email, phone, last_name); 0: none
Record = tuple[int, int, int, int, int]


def people(*records: Record, most: int = 20) -> list[list[int]]:
    """The places of the records of each person, in order of the first."""
    found = partition(_arrays(records), max_records_per_key=most)
    groups: dict[int, list[int]] = {}
    for place, group in enumerate(found.group.tolist()):
        groups.setdefault(group, []).append(place)
    return sorted(groups.values())


def rules(*records: Record) -> list[str]:
    return [RULES[place] for place in partition(_arrays(records), max_records_per_key=20).rule]


def _arrays(records: list[Record] | tuple[Record, ...]) -> Records:
    *columns, last_name = np.array(records, dtype=np.int64).reshape(-1, 5).T
    return Records(*columns, code=np.zeros_like(last_name), last_name=last_name)


def test_no_records_are_no_people():
    assert people() == []


def test_a_shared_person_key_joins_records_that_share_nothing_else():
    assert people((1, 9, 5, 0, 0), (1, 9, 6, 0, 0), (2, 9, 7, 0, 0)) == [[0, 1], [2]]


def test_a_shared_email_joins_records_of_different_namespaces():
    assert people((1, 8, 5, 0, 0), (1, 9, 5, 0, 0), (0, 0, 5, 0, 0)) == [[0, 1, 2]]


def test_an_email_of_two_person_keys_of_one_namespace_joins_nobody():
    assert people((1, 9, 5, 0, 0), (2, 9, 5, 0, 0), (0, 0, 5, 0, 0)) == [[0], [1], [2]]


def test_a_chain_of_email_and_phone_joins_no_two_person_keys():
    # 0 -email- 1 -phone- 2: the e-mail, which comes first, holds
    assert people((1, 9, 5, 0, 0), (0, 0, 5, 6, 0), (2, 9, 0, 6, 0)) == [[0, 1], [2]]


def test_a_chain_of_emails_over_another_namespace_joins_no_two_person_keys():
    # records 1 and 2 are one person of namespace 8 with two addresses, of customers 1 and 2 of
    # namespace 9: one of the two addresses holds, never both
    chain = ((1, 9, 5, 0, 0), (7, 8, 5, 0, 0), (7, 8, 6, 0, 0), (2, 9, 6, 0, 0))
    assert people(*chain) == [[0, 1, 2], [3]]


def test_a_refused_link_leaves_the_other_links_of_its_neighbours():
    chain = ((1, 9, 5, 0, 0), (7, 8, 5, 0, 0), (7, 8, 6, 0, 0), (2, 9, 6, 0, 0))
    friend = ((3, 9, 4, 0, 0), (0, 0, 4, 0, 0))
    assert people(*chain, *friend) == [[0, 1, 2], [3], [4, 5]]


def test_a_phone_joins_equal_last_names_and_records_without_one():
    assert people((0, 0, 0, 6, 3), (0, 0, 0, 6, 3), (0, 0, 0, 6, 0)) == [[0, 1, 2]]


def test_a_phone_of_two_last_names_joins_only_within_a_name():
    family = ((0, 0, 0, 6, 3), (0, 0, 0, 6, 3), (0, 0, 0, 6, 4), (0, 0, 0, 6, 0))
    assert people(*family) == [[0, 1], [2], [3]]


def test_a_record_without_a_name_has_that_of_its_person():
    # 1 is 2 by e-mail, so its name is 4 and not open
    assert people((0, 0, 0, 6, 3), (0, 0, 5, 6, 0), (0, 0, 5, 0, 4)) == [[0], [1, 2]]


def test_a_value_of_too_many_records_is_no_key():
    assert people(*[(0, 0, 5, 0, 0)] * 3, most=2) == [[0], [1], [2]]
    assert people(*[(0, 0, 5, 0, 0)] * 3, most=3) == [[0, 1, 2]]


def test_the_rule_is_the_first_that_links_the_record():
    records = ((1, 9, 5, 0, 0), (1, 9, 5, 0, 0), (0, 0, 5, 6, 0), (0, 0, 0, 6, 0), (0, 0, 4, 0, 0))
    assert rules(*records) == ["person_key", "person_key", "email", "phone", "alone"]


few = st.integers(0, 3)
some_records = st.lists(st.tuples(few, st.integers(0, 2), few, few, few), max_size=14)


@settings(deadline=None, max_examples=80)
@given(records=some_records, data=st.data())
def test_any_order_of_records_gives_the_same_people(records, data):
    order = data.draw(st.permutations(range(len(records))))
    shuffled = people(*[records[place] for place in order], most=5)
    assert sorted(sorted(order[place] for place in person) for person in shuffled) == people(
        *records, most=5
    )


@settings(deadline=None, max_examples=80)
@given(records=some_records)
def test_nobody_has_two_person_keys_of_one_namespace(records):
    for person in people(*records):
        keys = {records[place][:2] for place in person if records[place][0]}
        assert len({namespace for _, namespace in keys}) == len(keys)


@settings(deadline=None, max_examples=50)
@given(records=some_records)
def test_only_a_record_without_company_is_alone(records):
    found = partition(_arrays(records), max_records_per_key=20)
    sizes = np.bincount(found.group, minlength=1)
    alone = [RULES[place] == "alone" for place in found.rule]
    assert alone == [bool(sizes[group] == 1) for group in found.group]
