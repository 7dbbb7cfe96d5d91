"""Fitted pipelines as bytes: skops with an exact allow-list, never pickle.

A file that names any type beyond those that skops trusts by itself and ``TRUSTED`` is refused, so
that a row of ``ops.model_version`` cannot run code.
"""

from typing import Any

import skops.io

from include.errors import ConfigError

CALIBRATED = ("include.models.algorithms.Calibrated",)
TREES = ("sklearn.tree._tree.Tree",)
OF_ALGORITHM: dict[str, tuple[str, ...]] = {
    "logistic": (),
    "logistic_descent": ("include.models.algorithms.GradientDescent",),
    "svm_linear": CALIBRATED,
    "svm_rbf": ("include.models.algorithms.Sampled", *CALIBRATED),
    "tree": TREES,
    "forest": TREES,
    "boosting": (
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
    ),
    "boosting_amount": (
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMRegressor",
    ),
    "network": ("sklearn.neural_network._stochastic_optimizers.AdamOptimizer",),
    "linear": (),
}
OF_ALL = (  # scalers, simple imputers and k-means need no other
    "include.models.calibration.Mended",
    "include.models.fill.GroupMedian",
    "include.models.fill.Interpolated",
    "numpy.dtype",
)
TRUSTED = tuple(sorted({*OF_ALL, *(name for names in OF_ALGORITHM.values() for name in names)}))


def dumps(fitted: Any) -> bytes:
    """The bytes of a fitted estimator, or of a dict of them."""
    return bytes(skops.io.dumps(fitted))


def loads(stored: bytes) -> Any:
    """What ``dumps`` was given.

    Raises
    ------
    ConfigError
        If the bytes name a type that is not on the allow-list.
    """
    foreign = set(skops.io.get_untrusted_types(data=stored)) - set(TRUSTED)
    if foreign:
        raise ConfigError(
            f"stored model: {', '.join(sorted(foreign))} is not on the allow-list of "
            "models/store.py; retrain, or add the type there if this project writes it"
        )
    return skops.io.loads(stored, trusted=list(TRUSTED))
