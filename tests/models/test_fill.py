"""What stands in for a missing value."""

import numpy as np
import pandas as pd
import pytest

from include.models import store
from include.models.fill import GroupMedian, Interpolated

NONE = np.nan


def test_a_gap_gets_the_median_of_its_group_and_is_marked():
    given = pd.DataFrame({
        "price": [1.0, 3.0, NONE, 50.0, NONE],
        "band": ["low"] * 3 + ["high"] * 2,
    })
    assert GroupMedian().fit(given).transform(given).tolist() == [
        [1.0, 0.0],
        [3.0, 0.0],
        [2.0, 1.0],
        [50.0, 0.0],
        [50.0, 1.0],
    ]


@pytest.mark.parametrize("band", [None, "never seen"])
def test_a_gap_without_a_known_group_gets_the_median_of_all(band):
    fitted = GroupMedian().fit(pd.DataFrame({"price": [1.0, 3.0, 8.0], "band": ["a", "a", "b"]}))
    assert fitted.transform(pd.DataFrame({"price": [NONE], "band": [band]})).tolist() == [[3.0]]


def test_a_gap_lies_on_the_line_along_another_feature():
    orders = np.arange(100.0)
    given = pd.DataFrame({"gap": 200 - 2 * orders, "orders": orders})
    given.loc[[35, 64], "gap"] = NONE
    filled = Interpolated().fit(given).transform(given)
    assert filled[[35, 64], 0] == pytest.approx([130, 72], abs=2)
    assert filled[[34, 35], 1].tolist() == [0.0, 1.0]


def test_beyond_its_ends_the_line_is_level_and_without_a_place_on_it_it_is_the_mean():
    fitted = Interpolated().fit(
        pd.DataFrame({"gap": [10.0, 20.0, 30.0], "orders": [1.0, 2.0, 3.0]})
    )
    asked = pd.DataFrame({"gap": [NONE] * 3, "orders": [0.0, 9.0, NONE]})
    assert fitted.transform(asked)[:, 0].tolist() == [10.0, 30.0, 20.0]


@pytest.mark.parametrize("kind", [GroupMedian, Interpolated])
def test_a_column_without_any_value_is_zero(kind):
    by = ["a", "b"] if kind is GroupMedian else [1.0, 2.0]
    given = pd.DataFrame({"x": [NONE, NONE], "by": by})
    assert kind().fit(given).transform(given).tolist() == [[0.0, 1.0], [0.0, 1.0]]


@pytest.mark.parametrize("kind", [GroupMedian, Interpolated])
def test_what_was_fitted_is_stored_and_fills_the_same(kind):
    by = ["a", "b", "b"] if kind is GroupMedian else [1.0, 2.0, 3.0]
    given = pd.DataFrame({"x": [1.0, NONE, 3.0], "by": by})
    fitted = kind().fit(given)
    again = store.loads(store.dumps({"published": fitted}))["published"]
    assert again.transform(given).tolist() == fitted.transform(given).tolist()
    assert list(again.get_feature_names_out()) == ["x", "missingindicator_x"]
