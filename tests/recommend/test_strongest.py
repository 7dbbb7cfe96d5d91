"""Exact, tie-true choice of the largest cells."""

import numpy as np
import pytest

from include.errors import InputError
from include.recommend.strongest import NEVER, levels, pruned, strongest


def test_ties_go_to_the_lower_column_and_forbidden_cells_come_last():
    level = np.array([[5, 7, 7, NEVER, 7], [NEVER, 0, NEVER, NEVER, 1]])
    columns, kept = strongest(level.copy(), 3)
    assert columns.tolist()[0] == [1, 2, 4]
    assert columns.tolist()[1][:2] == [4, 1]
    assert kept.tolist() == [[7, 7, 7], [1, 0, NEVER]]


def test_fewer_columns_than_wanted_are_all_there():
    columns, _ = strongest(levels(np.array([[0.1, 0.3]])), 5)
    assert columns.tolist() == [[1, 0]]


def test_pruning_keeps_values_and_drops_zeros():
    table = pruned([np.array([[0.0, 0.5, 0.25, 0.125]]), np.zeros((1, 4))], 4, 2)
    assert table.toarray().tolist() == [[0, 0.5, 0.25, 0], [0, 0, 0, 0]]


def test_scores_too_large_to_be_ranked_exactly_are_refused():
    with pytest.raises(InputError, match="scale the maker's table down"):
        strongest(levels(np.full((1, 1000), 1e6)), 1)
