"""How complete is the profile, and how far has it moved since a model learned from it?"""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from include import profile
from include.models import drift
from include.models.train import train
from tests.models.conftest import AS_OF


def frame(**columns: list) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_nothing_has_moved_from_a_frame_to_itself():
    then = frame(age=[float(n) for n in range(100)], city=["Oslo"] * 60 + ["Moss"] * 40)
    assert drift.psi(drift.reference(then), then) == {"age": 0.0, "city": 0.0}


def test_psi_is_the_sum_over_the_bins_that_was_worked_out_by_hand():
    then, now = frame(city=["Oslo"] * 50 + ["Moss"] * 50), frame(city=["Oslo"] * 80 + ["Moss"] * 20)
    expected = 0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5)  # .1410 + .2749
    assert drift.psi(drift.reference(then), now) == {"city": pytest.approx(expected)}


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, None, None]),
        (["a", "b"], ["a", None]),
        (["a", "b"], ["a", "never seen"]),
        ([5.0] * 9 + [6.0], [6.0] * 10),
        ([None, None], [1.0, 1.0]),
    ],
    ids=["a gap", "a gap in texts", "a new text", "a value that was rare", "values for none"],
)
def test_what_comes_or_goes_moves_the_index(then, now):
    moved = drift.psi(
        drift.reference(frame(x=then).astype(kind(then))), frame(x=now).astype(kind(now))
    )
    assert moved["x"] > 0.25


def kind(values: list) -> str:
    return "str" if any(isinstance(value, str) for value in values) else "float64"


def test_a_reference_has_shares_that_add_up_to_one(profiles):
    for name, said in drift.reference(profiles).items():
        assert sum(said["shares"]) == pytest.approx(1), name


def test_coverage_has_a_row_a_feature_and_names_the_champion(warehouse, habits, tmp_path):
    version = train(warehouse, habits, "churn", as_of=AS_OF, run_id="r1")["model_version"]
    table = pq.read_table(drift.coverage(warehouse, habits, AS_OF, tmp_path)).to_pandas()
    rows = table.set_index("feature")
    assert list(rows.index) == [column.name for column in profile.features()]
    count = rows.loc["order_count"]
    assert (count["customers"], count["missing"], count["missing_share"]) == (297, 0, 0.0)
    assert count["lowest"] == "1"
    assert (count["psi_model_version"], count["psi"] >= 0) == (version, True)
    assert count["psi_since"] < AS_OF - timedelta(days=80)
    assert rows.loc["city", "missing_share"] == 1.0
    assert pd.isna(rows.loc["first_order_at", "psi"])


def test_without_a_champion_nothing_is_said_of_a_move(warehouse, habits, tmp_path):
    table = pq.read_table(drift.coverage(warehouse, habits, AS_OF, tmp_path)).to_pandas()
    assert table["psi"].isna().all()
