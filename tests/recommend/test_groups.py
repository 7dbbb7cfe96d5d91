"""What is popular in a customer's segment or country, where own purchases say too little."""

import numpy as np
import pytest

from include import recommend
from include.recommend.compiled import compile_recipe
from include.recommend.explore import explore, reasons
from include.recommend.interactions import read
from tests.recommend.shop import AS_OF, line, popularity, product
from tests.recommend.test_lists import of
from tests.snapshots import write_snapshot

BY_GROUP = {"recipe": recommend.Recipe(group_prior=1.0).settings()}
# 0 to 9 buy tea in GB, 10 to 29 nails in DE; nobody bought anything else of late.
TWO_COUNTRIES = {
    "customer": [{"customer_id": n, "country": "GB" if n < 10 else "DE"} for n in range(30)]
    + [{"customer_id": 100, "country": "GB"}, {"customer_id": 101, "country": "DE"},
       {"customer_id": 102, "country": "FR"}, {"customer_id": 103}],
    "product": [product(0), product(1), product(2), product(3)],
    "order_line": [line(n, 0 if n < 10 else 1, "2026-02-20") for n in range(30)],
}  # fmt: skip


def test_who_has_bought_nothing_gets_what_is_popular_in_the_own_country(lists):
    table, _, _ = lists(TWO_COUNTRIES, card=BY_GROUP)
    first = table[(table["list"] == "explore") & (table["rank"] == 1)].set_index("customer_id")
    assert first["product_id"][[100, 101, 102, 103]].tolist() == ["p0", "p1", "p1", "p1"]
    said = ["popular_country", "popular_country", "popular", "popular"]
    assert first["reason_code"][[100, 101, 102, 103]].tolist() == said
    assert of(table, 100) == ["p0", "p1", "p2", "p3"]
    second = table[(table["customer_id"] == 100) & (table["rank"] == 2)].iloc[0]
    assert second["reason_code"] == "popular"  # nobody in GB bought it


def test_buyers_are_served_by_their_rfm_group(tmp_path):
    loyal = [line(n, 0, f"2026-{m:02}-0{d}") for n in range(5) for m in (1, 2) for d in (1, 9)]
    later = [line(n, 1, "2026-02-01", quantity=9) for n in range(5)]
    lost = [line(n, 2, "2024-02-01") for n in range(5, 10)]
    folder = write_snapshot(
        tmp_path, product=[product(n) for n in range(3)], order_line=[*loyal, *later, *lost]
    )
    data = read(folder, AS_OF)
    kinds = np.array(data.groups.kinds)
    assert (kinds[data.groups.served] == "segment").all()
    assert len(set(data.groups.served[:5].tolist()) & set(data.groups.served[5:].tolist())) == 0
    bought = data.recent_buyers(60)
    assert bought[0].tolist() == [5, 5, 0]
    assert bought[data.groups.served[5]].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("prior", "second"), [(1e-9, 1 / 9), (10, (1 + 4) / (9 + 6)), (1e9, 6 / 9)]
)
def test_a_group_is_drawn_to_all_by_as_many_purchases_as_the_prior_says(lists, prior, second):
    tables = TWO_COUNTRIES | {
        "order_line": [line(n, int(n in {9, *range(10, 15)}), "2026-02-20") for n in range(15)]
    }  # GB: nine bought p0, one p1; all: nine and six of fifteen
    lists(tables)
    data = read(lists.snapshot, AS_OF)
    made = compile_recipe(recommend.Recipe(group_prior=prior), data)
    gb = made.popular.share[data.groups.served[list(data.customers).index(100)]]
    ties = data.buyers / (data.buyers.max() + 1)  # between products with equal recent buyers
    assert (10 * gb - ties)[:2] == pytest.approx([9, 9 * second])


def test_the_popularity_of_the_own_group_is_a_term_of_the_score():
    from scipy import sparse

    from include.recommend.compiled import Compiled

    nothing = sparse.csr_array((2, 3))
    made = Compiled(
        recommend.Recipe(popularity_weight=1.0),
        sparse.csr_array((3, 3)),
        np.zeros(0, dtype=bool),
        nothing,
        np.zeros(3),
        popularity([[0.1, 0.2, 0.3], [0.9, 0.0, 0.4]], group=(0, 1)),
    )
    (ranked,) = explore(made, nothing, np.array([0, 1]), np.ones(3, dtype=bool), length=2)
    assert ranked.product.tolist() == [2, 1, 0, 2]
    assert ranked.score.tolist() == [0.3, 0.2, 0.9, 0.4]
    assert (reasons(made, ranked).because == -1).all()
