"""Metrics against a hand-computed example, and the judgement of a planted shop."""

from datetime import timedelta
from math import log2

import numpy as np
import pytest
from scipy import sparse

from include import recommend
from include.recommend.explore import Ranked
from include.recommend.judge import by_customer, trial
from tests.recommend.shop import AS_OF, checkerboard, line
from tests.snapshots import write_snapshot


def test_recall_and_ndcg_of_a_worked_example():
    """Customer 0 wants 1 and 2, found at ranks 1 and 3; 1 wants four, one found second; 2 none."""
    truth = sparse.csr_array([[0, 1, 1, 0, 0], [1, 1, 0, 1, 1], [0, 0, 0, 0, 0]], dtype=float)
    ranked = Ranked(
        np.array([0, 0, 0, 1, 1, 2]), np.array([1, 2, 3, 1, 2, 1]),
        np.array([1, 4, 2, 2, 3, 0]), np.zeros(6),
    )  # fmt: skip
    found = by_customer([ranked], truth)
    assert found["recall"].tolist() == [1, 0.25, 0]
    assert found["precision"].tolist() == [0.2, 0.1, 0]
    assert found["map"].tolist() == pytest.approx([(1 + 2 / 3) / 2, 1 / 2 / 4, 0])
    assert found["mrr"].tolist() == [1, 0.5, 0]
    assert found["hit_rate"].tolist() == [1, 1, 0]
    ideal = np.cumsum([1, 1 / log2(3), 1 / log2(4), 1 / log2(5)])
    assert found["ndcg"].tolist() == pytest.approx([1.5 / ideal[1], 1 / log2(3) / ideal[3], 0])


def test_what_is_bought_later_is_not_known_before(tmp_path):
    lines = [line(1, 0, "2026-01-01"), line(1, 0, "2026-02-20"), line(1, 2, "2026-02-20")]
    tables = checkerboard(customers=2) | {"order_line": lines}
    folder = write_snapshot(tmp_path / "s", **tables)
    held = trial(folder, AS_OF - timedelta(30), AS_OF)
    assert held.data.bought.nnz == 1
    assert held.bought_any.nnz == 2
    assert held.bought_new.nnz == 1
    assert held.with_history == 1


def test_a_planted_pattern_is_found_and_popularity_is_not_enough(tmp_path):
    tables = checkerboard(customers=40)
    tables["order_line"] += [
        line(n, p, "2026-02-15") for n in range(40) for p in range(n % 2, 8, 2)
    ]
    figures = recommend.evaluate(write_snapshot(tmp_path / "s", **tables), AS_OF)
    value = {(f.method, f.slice, f.metric): f.value for f in figures}
    for maker in recommend.MAKERS:
        assert value[maker, "explore", "ndcg@10"] == 1
        assert value[maker, "explore history=3-9", "recall@10"] == 1
    assert value["recent_popularity", "explore", "ndcg@10"] < 0.9
    parts = [f for f in figures if f.slice.startswith("explore segment=") and f.method == "cosine"]
    assert sum(f.customers for f in parts if f.metric == "ndcg@10") == 40
    assert value["personal_frequency", "repeat", "recall@10"] == 0.75


def test_a_shop_without_orders_has_no_figures(tmp_path):
    assert recommend.evaluate(write_snapshot(tmp_path / "s"), AS_OF) == []
