"""Scores that come true on a later day."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from include.models import calibration, metrics, registry, store
from include.models.calibration import Mending
from include.models.churn import Churn
from include.models.reasons import contributions
from include.models.train import train
from tests.models.conftest import AS_OF


def day(slope: float, shift: float, rows: int = 20_000) -> tuple[pd.Series, pd.Series]:
    """Scores, and answers whose true log-odds are theirs x slope + shift."""
    draw = np.random.default_rng(8)
    raw = draw.normal(size=rows)
    answers = draw.random(rows) < 1 / (1 + np.exp(-(slope * raw + shift)))
    return pd.Series(1 / (1 + np.exp(-raw))), pd.Series(answers.astype("int64"))


def test_what_is_off_by_chance_only_is_left_as_it_is():
    scores, answers = day(1, 0)
    assert calibration.learn(scores, scores, answers) is None
    assert calibration.card(None) == "not needed: off by no more than chance"


def test_what_is_too_sure_and_too_high_is_mended():
    scores, answers = day(0.5, -1)
    found = calibration.learn(scores, scores, answers)
    assert (found.slope, found.shift) == pytest.approx((0.5, -1), abs=0.05)
    assert calibration.card(found)["rows"] == 20_000


def test_a_fit_that_has_seen_the_day_is_not_shifted_twice():
    scores, answers = day(1, -1)
    seen = 1 / (1 + np.exp(1) * (1 / scores - 1))  # shifted by -1 already
    assert calibration.learn(scores, seen, answers).shift == pytest.approx(0, abs=0.05)


def test_a_mended_fit_keeps_the_order_and_is_stored():
    values = np.random.default_rng(1).normal(size=(200, 2))
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(values, values[:, 0] > 0)
    before = fitted.predict_proba(values)[:, 1]
    mended = calibration.mend(fitted, Mending(0.5, -1, 9))
    after = mended.predict_proba(values)[:, 1]
    assert (np.argsort(after) == np.argsort(before)).all()
    raw = np.log(before / (1 - before))
    np.testing.assert_allclose(after, 1 / (1 + np.exp(-(0.5 * raw - 1))))
    again = store.loads(store.dumps({"published": mended}))["published"]
    assert (again.predict_proba(values)[:, 1] == after).all()


def test_reasons_of_a_mended_fit_are_those_of_the_raw_score(profiles, labels):
    model = Churn().fit(profiles, labels, seed=0)
    mended = calibration.mend(model.pipeline, Mending(0.5, -1, 9))
    pd.testing.assert_frame_equal(
        contributions(mended, profiles), contributions(model.pipeline, profiles)
    )


def test_the_error_is_the_mean_gap_of_ten_groups():
    labels = np.array([0, 1] * 10)
    assert metrics.calibration_error(labels, np.full(20, 0.5)) == 0
    assert metrics.calibration_error(labels, np.full(20, 0.8)) == pytest.approx(0.3)
    assert metrics.calibration_error(np.array([0] * 10 + [1] * 10), np.linspace(0, 1, 20)) < 0.3


def test_the_card_says_how_both_fits_were_mended(warehouse, habits):
    assert train(warehouse, habits, "churn", as_of=AS_OF, run_id="r")["promoted"]
    said = registry.champion(warehouse, "churn").card["calibration"]
    assert said.keys() == {"tested", "published"}
    for each in said.values():
        assert isinstance(each, str) or each.keys() == {"slope", "shift", "rows"}
    found = warehouse.execute(
        """SELECT count(*) FROM bi.model_metric WHERE metric = 'calibration_error'
           AND slice = 'all' AND value < baseline + 0.1"""
    ).fetchall()
    assert found == [(1,)]


def test_what_chance_gives_right_probabilities_is_no_miscalibration():
    draw = np.random.default_rng(0)
    scores = draw.uniform(0, 1, 300)
    labels = (draw.uniform(0, 1, 300) < scores).astype("int64")
    assert metrics.calibration_error(labels, scores) > 0.03
    assert metrics.miscalibration(labels, scores) < 0.03
    assert metrics.miscalibration(labels, scores / 2) > 0.15
