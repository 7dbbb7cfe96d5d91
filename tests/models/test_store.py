import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from include.errors import ConfigError
from include.models import store


def shout(values):
    return values


def test_the_allow_list_is_exactly_this():
    assert store.TRUSTED == (
        "include.models.fill.GroupMedian",
        "include.models.fill.Interpolated",
        "numpy.dtype",
    )


def test_a_stored_file_with_code_of_its_own_is_refused():
    stored = store.dumps(make_pipeline(FunctionTransformer(shout)))
    with pytest.raises(ConfigError, match=r"shout is not on the allow-list"):
        store.loads(stored)
