"""Known answers over every maker, and the promises of the table."""

from dataclasses import replace

import numpy as np
import pytest

from include.recommend.interactions import of_pairs, read
from include.recommend.makers import GRID, MAKERS
from tests.recommend.shop import AS_OF, checkerboard
from tests.snapshots import write_snapshot

SETTINGS = [(name, settings) for name in MAKERS for settings in ({}, *GRID[name])]


@pytest.fixture
def data(tmp_path):
    return read(write_snapshot(tmp_path / "s", **checkerboard()), AS_OF)


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=str)
def test_a_checkerboard_is_told_apart(data, name, settings):
    table = MAKERS[name](data, neighbours=3, **settings).toarray()
    even = np.arange(8) % 2 == 0
    same = even[:, None] == even
    assert (table[same & ~np.eye(8, dtype=bool)] > 0).all()
    assert (table[~same] < table[same & ~np.eye(8, dtype=bool)].min()).all()


@pytest.mark.parametrize("name", MAKERS)
def test_a_row_keeps_the_strongest_and_not_itself(data, name):
    whole = MAKERS[name](data, neighbours=8).toarray()
    table = MAKERS[name](data, neighbours=2)
    assert np.diff(table.indptr).max() <= 2
    assert (table.diagonal() == 0).all()
    kept, size = table.toarray() != 0, np.abs(whole)
    assert all(size[i][kept[i]].min() >= size[i][~kept[i]].max() for i in range(8))


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_sold_and_nothing_known_give_an_empty_table(tmp_path, name):
    nothing = read(write_snapshot(tmp_path / "s"), AS_OF)
    assert MAKERS[name](nothing, neighbours=5).shape == (0, 0)
    bare = {"product": [{"product_id": "p", "name": "x"}], "customer": [{"customer_id": 1}]}
    one = read(write_snapshot(tmp_path / "t", **bare), AS_OF)
    assert MAKERS[name](one, neighbours=5).nnz == 0


def test_every_maker_has_settings_to_try():
    assert set(GRID) == set(MAKERS)


@pytest.mark.parametrize(("products", "alike"), [(8, [1, 2, 3]), (2400, [1])], ids=["few", "many"])
def test_a_word_of_most_products_makes_none_alike_where_there_are_many(products, alike):
    nothing = np.zeros(0, dtype=np.int64)
    shop = of_pairs((0, products), nothing, nothing, nothing)
    words = np.array(["thing quill"] * 2 + ["thing"] * (products - 2), dtype=object)
    table = MAKERS["content"](
        replace(shop, features=shop.features | {"words": words}), neighbours=3, least=0.1
    )
    assert table[[0]].nonzero()[1].tolist() == alike
