"""All algorithms on one dated split."""

import pytest

from include import domains
from include.models import ALGORITHMS, compare, registry
from include.models.churn import Churn
from include.models.train import train
from tests.models.conftest import AS_OF


@pytest.fixture
def comparing(monkeypatch):
    """The domain asks for a comparison."""
    domain = domains.load()
    models = domain.models.model_copy(update={"compare": True})
    monkeypatch.setattr(domains, "load", lambda: domain.model_copy(update={"models": models}))


def test_every_algorithm_is_measured_on_the_later_date_beside_the_naive_score(
    warehouse, habits, comparing
):
    made = train(warehouse, habits, "purchase", as_of=AS_OF, run_id="r")
    assert made["decision"] == "promoted", made
    rows = warehouse.execute(
        """SELECT slice, array_agg(metric ORDER BY metric), min(value) FILTER (WHERE metric = 'auc')
           FROM bi.model_metric WHERE split = 'compared' GROUP BY slice"""
    ).fetchall()
    assert {name for name, *_ in rows} == {f"algorithm={name}" for name in ALGORITHMS}
    assert {tuple(names) for _, names, _ in rows} == {
        ("auc", "average_precision", "brier", "lift_10")
    }
    assert min(auc for *_, auc in rows) > 0.7
    used = dict(
        warehouse.execute(
            """SELECT slice, value FROM bi.model_metric WHERE metric = 'auc'
               AND split IN ('test', 'compared') AND split IN ('test', 'compared')"""
        ).fetchall()
    )
    chosen = registry.champion(warehouse, "purchase").card["algorithm"]
    assert used[f"algorithm={chosen}"] == pytest.approx(used["all"])


def test_without_the_setting_only_the_algorithm_in_use_is_measured(warehouse, habits):
    train(warehouse, habits, "purchase", as_of=AS_OF, run_id="r")
    splits = warehouse.execute("SELECT DISTINCT split FROM bi.model_metric").fetchall()
    assert ("test",) in splits
    assert ("compared",) not in splits


def test_of_many_rows_the_same_few_are_drawn_for_all(profiles, labels, monkeypatch):
    monkeypatch.setattr(compare, "MOST_ROWS", 60)
    monkeypatch.setattr(compare, "ALGORITHMS", {"logistic": None})
    seen = []

    class Seen(Churn):
        def fit(self, profiles, labels, *, seed):
            seen.append((len(profiles), profiles.index.is_monotonic_increasing))
            return super().fit(profiles, labels, seed=seed)

    first, second = (
        compare.compare(Seen, (profiles, labels), (profiles, labels), seed=1) for _ in range(2)
    )
    assert seen == [(60, True)] * 2
    assert first == second
    assert {(each.slice, each.baseline is None) for each in first if each.metric == "brier"} == {
        ("algorithm=logistic", True)
    }


def test_what_is_too_rare_is_not_compared(profiles, labels, caplog):
    rare = labels.where(labels.cumsum() <= 19, 0)
    with caplog.at_level("INFO", logger=compare.__name__):
        found = compare.compare(Churn, (profiles, labels), (profiles, rare), seed=1)
    assert found == []
    assert caplog.messages == ["not compared: 19 of an answer are too few, 20 are needed"]
