"""Pairs in one order: counted exactly, sure before frequent, planted ones found."""

import numpy as np
import pytest

from include.recommend.bundles import BUNDLE, bundles
from include.recommend.interactions import read
from tests.recommend.shop import AS_OF, line, product
from tests.snapshots import write_snapshot


def of_orders(tmp_path, orders, products=4):
    lines = [line(n, p, "2026-01-01", f"o{n:03}") for n, order in enumerate(orders) for p in order]
    tables = {"product": [product(n) for n in range(products)], "order_line": lines}
    return read(write_snapshot(tmp_path / "s", **tables), AS_OF)


def test_support_confidence_and_lift_of_a_worked_example(tmp_path):
    """100 orders: 20 with 0 and 1, 20 with 0 alone, 10 with 1 alone, 50 with 2."""
    data = of_orders(tmp_path, [[0, 1]] * 20 + [[0]] * 20 + [[1]] * 10 + [[2]] * 50)
    found = bundles(data, np.ones(4, dtype=bool)).to_pylist()
    low = pytest.approx(100 * 12.2165 / (40 * 30), rel=1e-5)  # Poisson: 20 is 12.2165 to 30.8884
    assert found == [
        {"product_id": "p0", "rank": 1, "with_product_id": "p1", "orders_together": 20,
         "confidence": 0.5, "lift": pytest.approx(5 / 3), "lift_low": low},
        {"product_id": "p1", "rank": 1, "with_product_id": "p0", "orders_together": 20,
         "confidence": pytest.approx(2 / 3), "lift": pytest.approx(5 / 3), "lift_low": low},
    ]  # fmt: skip


def test_two_orders_or_what_chance_explains_are_no_bundle(tmp_path):
    chance = [[0, 1]] * 10 + [[0]] * 10 + [[1]] * 10 + [[2]] * 10
    data = of_orders(tmp_path, chance + [[2, 3]] * 2)
    assert bundles(data, np.ones(4, dtype=bool)).num_rows == 0


def test_two_orders_are_a_bundle_where_chance_makes_less_than_one(tmp_path):
    """Of 2,002 orders; of four products there are six pairs, 2.0e-6 of a chance each."""
    data = of_orders(tmp_path, [[0, 1]] * 2 + [[2], [3]] * 1000)
    found = bundles(data, np.ones(4, dtype=bool)).to_pylist()
    assert [(row["product_id"], row["orders_together"]) for row in found] == [("p0", 2), ("p1", 2)]


def test_a_partner_that_may_not_be_offered_is_left_out(tmp_path):
    data = of_orders(tmp_path, [[0, 1]] * 20 + [[2]] * 50)
    found = bundles(data, np.array([False, True, True, True])).to_pylist()
    assert [(row["product_id"], row["with_product_id"]) for row in found] == [("p0", "p1")]


def test_planted_pairs_are_found_among_many_chance_ones(tmp_path):
    rng = np.random.default_rng(5)
    orders = []
    for _ in range(2000):
        order = set(rng.choice(60, 3, replace=False).tolist())
        order |= {n + 1 for n in order if n % 6 == 0 and rng.random() < 0.5}
        orders.append(sorted(order))
    data = of_orders(tmp_path, orders, products=60)
    found = bundles(data, np.ones(60, dtype=bool)).to_pylist()
    first = {row["product_id"]: row["with_product_id"] for row in found if row["rank"] == 1}
    assert {f"p{n}": first.get(f"p{n}") for n in range(0, 60, 6)} == {
        f"p{n}": f"p{n + 1}" for n in range(0, 60, 6)
    }


def test_a_shop_without_orders_has_no_bundles(tmp_path):
    data = read(write_snapshot(tmp_path / "s"), AS_OF)
    assert bundles(data, np.zeros(0, dtype=bool)).schema == BUNDLE
