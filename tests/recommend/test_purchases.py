"""Order lines by number become purchases in sequence, whatever the sequence of the lines."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from include.recommend.purchases import arranged

CUSTOMERS = 4
KINDS = {"customer": "int32", "product": "int32", "order": "uint64", "age_days": "int32"}


def of(lines: list[tuple[int, int, int, int]]) -> list[list[int]]:
    columns = pd.DataFrame(lines, columns=list(KINDS)).astype(KINDS)
    given = {name: columns[name].to_numpy() for name in KINDS}
    found = arranged(**given, customers=CUSTOMERS)
    return [list(row) for row in zip(*map(np.ndarray.tolist, found), strict=True)]


def test_each_order_with_a_product_stands_once_by_customer_product_and_falling_age():
    assert of([
        (2, 5, 70, 3),
        (0, 5, 90, 1), (0, 5, 80, 9), (0, 4, 90, 1),
        (0, 5, 90, 2),  # a second line of the same product in order 90, a day before
    ]) == [[0, 4, 1, 1], [0, 5, 0, 9], [0, 5, 1, 2], [2, 5, 2, 3]]  # fmt: skip


def test_of_nothing_comes_nothing():
    assert of([]) == []


numbers = st.integers(0, 3)
orders = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
many = st.lists(st.tuples(numbers, numbers, orders, st.integers(-2, 400)), max_size=1500)


@settings(max_examples=60, deadline=None)
@given(lines=many, seed=st.integers(0, 9))
def test_it_is_what_grouping_and_sorting_give_for_lines_in_any_sequence(lines, seed):
    frame = pd.DataFrame(lines, columns=list(KINDS)).astype(KINDS)
    oldest = frame.groupby(["customer", "product", "order"], as_index=False)["age_days"].max()
    numbered = oldest[["customer", "order"]].drop_duplicates().sort_values(["customer", "order"])
    basket = {pair: n for n, pair in enumerate(numbered.itertuples(index=False, name=None))}
    expected = [
        [customer, product, basket[customer, order], age]
        for customer, product, age, order in sorted(
            oldest[["customer", "product", "age_days", "order"]].itertuples(index=False, name=None),
            key=lambda row: (row[0], row[1], -row[2], row[3]),
        )
    ]
    shuffled = np.random.default_rng(seed).permutation(len(lines))
    assert of([lines[place] for place in shuffled]) == expected
