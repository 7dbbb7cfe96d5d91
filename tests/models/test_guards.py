"""What a person should look at before a version that beats its rivals is used."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.domains import Asks
from include.models import guards
from include.models.registry import Champion

DRAW = np.random.default_rng(0)
SCORES = pd.Series(DRAW.uniform(0, 1, 4000))
LABELS = pd.Series((DRAW.uniform(0, 1, 4000) < SCORES).astype("int64"))
CHAMPION = Champion("v", date(2026, 1, 1), {"made_of": {"rows": {"training": 1000}}}, b"")


def concerns(**changed):
    given = {
        "champion": CHAMPION,
        "rows": 900,
        "labels": LABELS,
        "scores": SCORES,
        "newest": SCORES,
        "alone": {},
    }
    return guards.concerns(changed.pop("limits", Asks()), **given | changed)


def test_where_all_is_as_it_was_nobody_is_asked():
    assert concerns() == []
    assert concerns(champion=None, rows=3) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rows": 499}, "it learned from 499 rows, the champion from 1000: less than 50 %; look"),
        ({"newest": SCORES**3}, "the scores of today are spread otherwise than those it was"),
        ({"scores": SCORES / 2, "newest": SCORES / 2}, "its probabilities were off by 0.2"),
        ({"alone": {"loyalty": 0.991}}, "on its own loyalty (AUC 0.991) foretells nearly"),
    ],
)
def test_each_limit_that_is_broken_is_said_in_words(changed, words):
    (said,) = concerns(**changed)
    assert said.startswith(words)


def test_what_the_domain_file_allows_is_not_asked_again():
    allowed = Asks(too_good=("loyalty",), psi=9, calibration_error=1, rows_percent=0)
    broken = {"alone": {"loyalty": 0.99}, "newest": SCORES**3, "scores": SCORES / 2, "rows": 1}
    assert concerns(limits=allowed, **broken) == []
