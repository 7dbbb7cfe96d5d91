"""Choosing, judging and recording: what the registry holds after a training."""

import pytest

from include import recommend
from include.models import registry
from tests.recommend.shop import AS_OF, checkerboard, line
from tests.snapshots import write_snapshot


@pytest.fixture
def planted(tmp_path):
    """A checkerboard whose customers complete their colour in the two windows before as_of."""
    tables = checkerboard(customers=160, products=16)
    tables["order_line"] += [
        line(n, p, day)
        for day, turn in (("2026-01-15", 0), ("2026-02-15", 1))
        for n in range(160)
        if n // 2 % 2 == turn
        for p in range(n % 2, 16, 2)
    ]
    return write_snapshot(tmp_path / "planted", **tables)


def test_a_better_recipe_is_promoted_once_and_makes_the_lists(warehouse, planted, tmp_path):
    first = recommend.train(warehouse, planted, as_of=AS_OF, run_id="one")
    assert first["decision"] == "promoted", first["reason"]
    champion = registry.champion(warehouse, "recommend")
    assert champion.model_version == first["model_version"]
    assert champion.card["recipe"]["maker"] in recommend.MAKERS
    rows = warehouse.execute(
        "SELECT slice, value, baseline FROM ops.model_metric WHERE metric = 'ndcg@10'"
    ).fetchall()
    figures = {name: (value, baseline) for name, value, baseline in rows}
    assert figures["explore"][0] > figures["explore"][1]
    assert {"explore", "repeat"} <= set(figures)
    again = recommend.train(warehouse, planted, as_of=AS_OF, run_id="two")
    assert again == first
    assert recommend.lists(planted, AS_OF, champion.card, tmp_path)["recommendation"] > 0


def test_an_equal_challenger_does_not_replace_the_champion(warehouse, planted):
    recommend.train(warehouse, planted, as_of=AS_OF, run_id="one")
    with warehouse.transaction():
        for table in ("model_version", "model_metric"):
            warehouse.execute(f"UPDATE ops.{table} SET model_version = 'recommend-older'")
    second = recommend.train(warehouse, planted, as_of=AS_OF, run_id="two")
    assert second["decision"] == "rejected"
    assert "does not beat the champion" in second["reason"]
    assert registry.champion(warehouse, "recommend").model_version == "recommend-older"


@pytest.mark.parametrize("tables", [{}, checkerboard()], ids=["nothing", "no later orders"])
def test_too_little_to_judge_is_said_and_nothing_is_promoted(warehouse, tmp_path, tables):
    folder = write_snapshot(tmp_path / "s", **tables)
    outcome = recommend.train(warehouse, folder, as_of=AS_OF, run_id="one")
    assert outcome["decision"] == "not_ready"
    assert registry.champion(warehouse, "recommend") is None
    gaps = warehouse.execute("SELECT gap FROM ops.model_readiness").fetchall()
    assert gaps == [(30,), (30,)]
