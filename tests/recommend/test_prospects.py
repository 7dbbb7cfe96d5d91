"""The best customers of a product: by the sums of the lists, and only whom one may offer it."""

import numpy as np
import pyarrow as pa
import pytest

from include.recommend.compiled import compile_recipe
from include.recommend.explore import explore
from include.recommend.interactions import read
from include.recommend.prospects import PROSPECT, prospects
from include.recommend.recipe import Recipe
from tests.recommend.shop import AS_OF, checkerboard, line
from tests.snapshots import write_snapshot

COSINE = Recipe(maker="cosine", content_weight=0.0)


@pytest.fixture
def found(tmp_path):
    def run(tables, *, length=20, refused=(), gone=()):
        data = read(write_snapshot(tmp_path / "s", **tables), AS_OF)
        allowed = ~np.isin(data.products, list(gone))
        agreed = ~np.isin(data.customers, refused)
        made = compile_recipe(COSINE, data)
        pieces = list(prospects(data, made, allowed, agreed, length))
        return data, made, pa.concat_tables(pieces, promote_options="none").to_pandas()

    return run


def test_a_product_finds_the_customers_of_its_kind_who_lack_it(found):
    data, _, table = found(checkerboard())
    bought = data.bought.toarray() > 0
    for number in range(8):
        listed = table.loc[table["product_id"] == f"p{number}", "customer_id"]
        lacking = {n for n in range(number % 2, 20, 2) if not bought[n, number]}
        assert set(listed) == lacking


def test_the_score_is_that_of_the_list_without_popularity(found):
    data, made, table = found(checkerboard())
    everyone, all_of_it = np.arange(20), np.ones(8, dtype=bool)
    ranked = next(iter(explore(made, data.bought, everyone, all_of_it, length=8)))
    lists = {
        (c, p): s for c, p, s in zip(ranked.customer, ranked.product, ranked.score, strict=True)
    }
    for row in table.itertuples():
        product = int(row.product_id[1:])
        whole = row.score + made.popular_term[0, product]
        assert whole == pytest.approx(lists[row.customer_id, product], abs=1e-6)


def test_best_come_first_up_to_the_length_and_ties_by_customer(found):
    _, _, table = found(checkerboard(), length=2)
    of_p0 = table[table["product_id"] == "p0"]
    assert of_p0["rank"].tolist() == [1, 2]
    assert of_p0["score"].is_monotonic_decreasing
    same = of_p0["score"].nunique() == 1
    assert not same or of_p0["customer_id"].is_monotonic_increasing


def test_who_refused_or_is_staff_is_not_there_nor_what_is_not_offered(found):
    tables = checkerboard()
    tables["customer"][2]["is_staff"] = True
    tables["order_line"].append(line(99, 0, "2026-01-01"))
    _, _, table = found(tables, refused=[4], gone=["p1"])
    assert not {2, 4} & set(table["customer_id"])
    assert "p1" not in set(table["product_id"])


def test_a_shop_without_orders_has_none(found):
    _, _, table = found({"product": [{"product_id": "p0", "name": "x"}]})
    assert table.empty
    assert list(table) == PROSPECT.names
