"""Mixed lists: what is too alike, or too many of a category, makes room for others."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from include import recommend
from include.domains import Lists
from include.recommend.compiled import compile_recipe
from include.recommend.explore import explore
from include.recommend.interactions import of_pairs
from include.recommend.judge import explored, trial
from include.recommend.mixture import ANY, Mixture, likeness
from include.recommend.recipe import Recipe
from tests.recommend.conftest import COSINE
from tests.recommend.shop import AS_OF, checkerboard, line

# Whoever bought 0 likes 1, 2 and 3, which are nearly the same product, better than 4 and 5.
W = np.zeros((6, 6))
W[0, 1:] = 0.9, 0.88, 0.86, 0.5, 0.4
W[1, 2] = W[3, 1] = W[2, 3] = 1.0
W[4, 5] = -1.0
CATEGORY = np.array(["", "tea", "tea", "tea", "tea", "cups"], dtype=object)


def planted(length: int = 3, **rules):
    """The list of who bought product 0."""
    table, zero = sparse.csr_array(W), np.array([0])
    data = of_pairs((1, 6), zero, zero, zero)
    made = compile_recipe(Recipe(lift=0.0, popularity_weight=0.0), data)
    made = replace(made, table=table, by_content=np.zeros(table.nnz, dtype=bool))
    mixture = Mixture.of(CATEGORY, table, Lists(**rules))
    (ranked,) = explore(made, data.bought, zero, data.offered, length=length, mixture=mixture)
    return ranked


def test_of_three_that_are_nearly_the_same_one_stays_and_keeps_its_score():
    assert planted().product.tolist() == [1, 2, 3]
    mixed = planted(variety=0.5)
    assert mixed.product.tolist() == [1, 4, 5]
    assert mixed.score.tolist() == [0.9, 0.5, 0.4]
    assert mixed.rank.tolist() == [1, 2, 3]


def test_the_bound_of_a_category_goes_before_variety():
    assert planted(most_per_category=1).product.tolist() == [1, 2, 5]  # by score
    assert planted(variety=0.5, most_per_category=1).product.tolist() == [1, 5, 4]  # by turn
    assert planted(5, variety=0.5, most_per_category=2).product.tolist() == [1, 4, 5, 2, 3]


def test_a_list_is_filled_beyond_the_bound_rather_than_left_short():
    category = np.array([2, 1, 1, 1, 0], dtype=np.uint32)
    alike = Mixture.of(np.full(5, ""), sparse.csr_array((5, 5)), Lists(variety=0.5)).alike
    pool, scores = np.array([[4, 1, 2, 3, 0]], dtype=np.uint32), np.array([[5.0, 4, 3, 2, 1]])
    products, kept, sizes = Mixture(category, 1, alike, 0.0).chosen(
        pool, scores, np.array([5], dtype=np.uint32), 4
    )
    assert products.tolist() == [[4, 1, 2, 0]]
    assert kept.tolist() == [[5, 4, 3, 1]]
    assert sizes.tolist() == [4]


def test_categories_are_numbered_and_the_unknown_is_none():
    names, table = np.array(["tea", "", "nails", "tea"], dtype=object), sparse.csr_array((4, 4))
    mixture = Mixture.of(names, table, Lists(most_per_category=2))
    assert mixture is not None
    assert mixture.category.tolist() == [2, 0, 1, 2]
    assert Mixture.of(names, table, Lists()) is None


def test_likeness_is_the_larger_of_both_ways_with_1_for_the_median_rows_best():
    table = sparse.csr_array([[0, 4.0, -1, 0], [2, 0, 0, 1], [0, 0, 0, 0], [-2, 0, 1, 0]])
    assert likeness(table).toarray().tolist() == [
        [0, 1, 0, 0],
        [1, 0, 0, 0.5],
        [0, 0, 0, 0.5],
        [0, 0.5, 0.5, 0],
    ]


def of_chance(seed: int, products: int = 30, rows: int = 5):
    """Pools best first with many equal scores, of any size, and what is alike, in quarters."""
    draw = np.random.default_rng(seed)
    pools = np.array([draw.permutation(products) for _ in range(rows)], dtype=np.uint32)
    scores = draw.integers(-4, 12, (rows, products)) / 4
    for row in range(rows):
        order = np.lexsort((pools[row], -scores[row]))
        pools[row], scores[row] = pools[row, order], scores[row, order]
    alike = np.triu(draw.integers(0, 5, (products, products)) / 4, 1)
    category = draw.integers(0, 5, products).astype(np.uint32)
    sizes = draw.integers(0, products + 1, rows).astype(np.uint32)
    return pools, scores, sizes, category, alike + alike.T


def greedy(pool, score, category, most, alike, variety, length):
    """One list, place by place, each the best by (within the bound, value, score, number)."""
    relevance = (score - score.min()) / ((score.max() - score.min()) or 1)
    listed = []
    while len(listed) < min(length, len(pool)):
        ranked = []
        for place in set(range(len(pool))) - set(listed):
            product, others = pool[place], pool[listed]
            nearest = alike[product, others].max(initial=0)
            value = (1 - variety) * relevance[place] - variety * nearest
            within = category[product] == 0 or (category[others] == category[product]).sum() < most
            ranked.append((not within, -value, -score[place], product, place))
        listed.append(min(ranked)[-1])
    return pool[listed if variety else sorted(listed)].tolist()


@given(
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    st.sampled_from([1, 2, ANY]),
    st.integers(1, 40),
)
@settings(max_examples=200, deadline=None)
def test_the_places_are_those_of_a_plain_search(seed, variety, most, length):
    pools, scores, sizes, category, alike = of_chance(seed)
    cells = sparse.csr_array(alike)
    given_ = cells.indptr.astype(np.int64), cells.indices.astype(np.uint32), cells.data
    products, kept, filled = Mixture(category, most, given_, variety).chosen(
        pools, scores, sizes, length
    )
    assert filled.tolist() == np.minimum(sizes, length).tolist()
    for row, size in enumerate(sizes):
        pool, score = pools[row, :size], scores[row, :size]
        wanted = greedy(pool, score, category, most, alike, variety, length) if size else []
        assert products[row, : filled[row]].tolist() == wanted
        own = dict(zip(pool.tolist(), score.tolist(), strict=True))
        assert kept[row, : filled[row]].tolist() == [own[p] for p in wanted]


def test_a_mixture_that_asks_for_nothing_gives_the_same_bits(lists, shop, tmp_path):
    lists(checkerboard())
    plain = (tmp_path / "out/recommendation.parquet").read_bytes()
    shop(most_per_category=100)
    lists(checkerboard())
    assert (tmp_path / "out/recommendation.parquet").read_bytes() == plain
    shop(most_per_category=None, variety=0.6)
    lists(checkerboard())
    assert (tmp_path / "out/recommendation.parquet").read_bytes() != plain


def test_the_terms_of_a_mixed_list_add_up_to_its_scores(lists, shop, tmp_path):
    tables = checkerboard()
    tables["order_line"] += [line(n, 1, "2026-02-20") for n in (0, 4)]
    shop(variety=0.6)
    table, _, _ = lists(tables)
    explore_rows = table[table["list"] == "explore"]
    assert (explore_rows.groupby("customer_id")["score"].diff() > 0).any()  # not by score alone
    for row in explore_rows.iloc[::3].itertuples():
        parts = recommend.terms(
            tmp_path / "snapshot", AS_OF, COSINE, row.customer_id, row.product_id
        )
        assert parts["term"].sum() == pytest.approx(row.score, abs=1e-6)
        if row.method in {"item-item", "content"}:
            assert parts["because_product_id"].tolist()[0] == row.because_product_id


def test_what_is_judged_is_as_mixed_as_what_is_published(lists, shop, tmp_path):
    tables, day = checkerboard(), AS_OF - timedelta(30)
    tables["order_line"] += [line(n, n % 8, "2026-02-20") for n in range(20)]
    shop(variety=0.6, most_per_category=2, explore_length=10)
    table, _, _ = lists(tables, as_of=day)
    published = table[table["list"] == "explore"]
    held = trial(tmp_path / "snapshot", day, AS_OF)
    made = compile_recipe(Recipe.read(COSINE["recipe"]), held.data)
    (ranked,) = explored(held, made)
    assert held.data.customers[ranked.customer].tolist() == published["customer_id"].tolist()
    assert held.data.products[ranked.product].tolist() == published["product_id"].tolist()
    assert (np.diff(ranked.score)[np.diff(ranked.customer) == 0] > 0).any()
