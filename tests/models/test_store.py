import numpy as np
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from include.errors import ConfigError
from include.models import store
from include.models.algorithms import ALGORITHMS, REGRESSIONS
from include.models.base import learning


def shout(values):
    return values


def test_the_allow_list_is_exactly_this():
    assert store.TRUSTED == (
        "collections.OrderedDict",
        "include.models.algorithms.Calibrated",
        "include.models.algorithms.GradientDescent",
        "include.models.algorithms.Sampled",
        "include.models.calibration.Mended",
        "include.models.fill.GroupMedian",
        "include.models.fill.Interpolated",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
    )


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, *REGRESSIONS])
def test_an_algorithm_needs_what_its_line_of_the_allow_list_says_and_no_more(algorithm):
    values = np.random.default_rng(0).normal(size=(90, 3))
    labels = (values[:, 0] > 0).astype(int)
    with learning():
        fitted = {**ALGORITHMS, **REGRESSIONS}[algorithm](0).fit(values, labels)
    needed = skops.io.get_untrusted_types(data=store.dumps(fitted))
    assert set(needed) == set(store.OF_ALGORITHM[algorithm])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_of_three_classes_an_algorithm_is_stored_by_the_same_list_and_says_the_same(algorithm):
    values = np.random.default_rng(0).normal(size=(90, 3))
    labels = np.digitize(values[:, 0], [-0.4, 0.4])
    with learning():
        fitted = ALGORITHMS[algorithm](0).fit(values, labels)
    stored = store.dumps(fitted)
    assert set(skops.io.get_untrusted_types(data=stored)) == set(store.OF_ALGORITHM[algorithm])
    again = store.loads(stored).predict_proba(values)
    assert again.shape == (90, 3)
    np.testing.assert_array_equal(again, fitted.predict_proba(values))


def test_a_stored_file_with_code_of_its_own_is_refused():
    stored = store.dumps(make_pipeline(FunctionTransformer(shout)))
    with pytest.raises(ConfigError, match=r"shout is not on the allow-list"):
        store.loads(stored)
