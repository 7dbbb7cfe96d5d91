"""The compiled loops: exact, tie-true, the same for one thread and two."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from include.recommend import kernel


def test_the_cells_furthest_from_0_stay_and_ties_go_to_the_lower_column():
    rows = np.array([[0.5, 0.75, -0.75, 0.0, 0.75], [0.0, 0.0, 0.0, 0.0, 0.25]])
    wanted = [[0, 0.75, -0.75, 0, 0], [0, 0, 0, 0, 0.25]]
    assert kernel.strongest(lambda a, b: rows[a:b], 5, 2).toarray()[:2].tolist() == wanted
    assert kernel.pruned(sparse.csr_array(rows), 2).toarray().tolist() == wanted


@given(st.integers(0, 2**32), st.integers(0, 900), st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_the_largest_come_best_first_and_of_equals_the_lower_column(seed, size, most):
    draw = np.random.default_rng(seed)
    values, columns = draw.integers(0, 30, size) * 1.0, draw.permutation(size).astype(np.uint32)
    order = np.lexsort((columns, -values))[:most]
    wanted = values[order].tolist(), columns[order].tolist()
    kept = kernel.largest(values, columns, size, most)
    kernel.best_first(values, columns, kept)
    assert (values[:kept].tolist(), columns[:kept].tolist()) == wanted


BOUGHT = np.array([[1, 1, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0]], dtype=float)


def test_pairs_are_counted_divided_and_damped():
    bought = sparse.csr_array(BOUGHT)
    row, column = np.array([2.0, 3, 1, 1]), np.array([1.0, 2, 1, 1])
    table = kernel.pairs(bought.T.tocsr(), bought, 3, row=row, column=column, shrink=2, least=1)
    assert table.toarray().tolist() == pytest.approx(np.array([
        [0, 2 / 6, 0, 1 / 4],
        [2 / 5, 0, 1 / 5, 1 / 5],
        [0, 1 / 4, 0, 0],
        [1 / 3, 1 / 4, 0, 0],
    ]))  # fmt: skip


def test_rows_are_added_to_a_block():
    bought, block = sparse.csr_array(BOUGHT), np.ones((2, 4))
    kernel.add_pairs(bought.T.tocsr(), bought, 1, block)
    assert block.tolist() == [[3, 4, 2, 2], [1, 2, 2, 1]]


@given(st.integers(0, 2**32), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_one_thread_and_two_find_what_sorting_all_cells_finds(seed, most):
    cells = np.random.default_rng(seed).integers(0, 4, (600, 600)).astype(float)
    one, two = (
        kernel.strongest(lambda first, last: cells[first:last], 600, most, threads=threads)
        for threads in (1, 2)
    )
    order = np.argsort(-cells, axis=1, kind="stable")[:, :most]
    wanted = np.zeros_like(cells)
    np.put_along_axis(wanted, order, np.take_along_axis(cells, order, axis=1), axis=1)
    assert np.array_equal(one.toarray(), wanted)
    assert np.array_equal(two.toarray(), wanted)


def test_pieces_come_in_sequence():
    assert list(kernel.in_pieces(lambda first, last: (first, last), 10, size=3)) == [
        (0, 3), (3, 6), (6, 9), (9, 10)
    ]  # fmt: skip
    assert list(kernel.in_pieces(lambda first, last: (first, last), 0)) == []
