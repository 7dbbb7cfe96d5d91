"""The sums behind an explore list, on a table written by hand."""

import numpy as np
from scipy import sparse

from include.recommend.compiled import Compiled
from include.recommend.explore import explore, reasons
from include.recommend.recipe import Recipe
from tests.recommend.shop import popularity


def test_what_a_purchase_speaks_against_comes_last_with_the_sum_of_its_terms():
    table = sparse.csr_array([[0.0, -1.0, 0.5, 0.0], *np.zeros((3, 4))])
    bought = sparse.csr_array([[1.0, 0, 0, 0]])
    nothing = popularity([[0, 0, 0, 0]])
    made = Compiled(Recipe(lift=0.0), table, np.zeros(2, dtype=bool), bought, np.zeros(4), nothing)
    (ranked,) = explore(made, bought, np.array([0]), np.ones(4, dtype=bool), length=4)
    assert ranked.product.tolist() == [2, 3, 1]
    assert ranked.score.tolist() == [0.5, 0.0, -1.0]
    assert reasons(made, ranked).because.tolist() == [0, -1, -1]
