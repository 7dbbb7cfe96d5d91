"""Choosing, judging and recording: what the registry holds after a training."""

from datetime import timedelta

import pytest

from include import domains, recommend
from include.models import registry
from include.recommend import Recipe, training
from include.recommend.judge import trial
from tests.recommend.shop import AS_OF, checkerboard, line, product
from tests.snapshots import write_snapshot

PLAIN = {"repeat_half_life_days": None, "repeat_lift": 0, "cadence": 0, "returning": 0}


def colours():
    """A checkerboard whose customers complete their colour in the two windows before as_of."""
    tables = checkerboard(customers=160, products=16)
    tables["order_line"] += [
        line(n, p, day)
        for day, turn in (("2026-01-15", 0), ("2026-02-15", 1))
        for n in range(160)
        if n // 2 % 2 == turn
        for p in range(n % 2, 16, 2)
    ]
    return tables


@pytest.fixture
def planted(tmp_path):
    return write_snapshot(tmp_path / "planted", **colours())


@pytest.fixture
def habitual(tmp_path):
    """Everyone bought one thing often, another one late; then ``first``, then ``second``."""

    def write(first, second):
        tables = colours()
        tables["product"] += [product(16, name="often"), product(17, name="late")]
        number = {"often": 16, "late": 17}
        often = [(16, f"2025-0{month}-01") for month in range(1, 6)]
        days = [*often, (17, "2025-12-20"), (number[first], "2026-01-20")]
        days.append((number[second], "2026-02-20"))
        tables["order_line"] += [line(n, p, day) for n in range(160) for p, day in days]
        return write_snapshot(tmp_path / "habitual", **tables)

    return write


def repeat_part(recipe):
    return {name: value for name, value in recipe.items() if name in PLAIN}


def test_plain_personal_frequency_is_chosen_where_nothing_beats_it(tmp_path):
    """Everyone bought p0 twice and p1 once, and buys p0 again."""
    days = [(0, "2025-12-01"), (0, "2025-12-11"), (1, "2025-12-20"), (0, "2026-01-10")]
    tables = {
        "product": [product(0), product(1)],
        "order_line": [line(n, p, day) for n in range(40) for p, day in days],
    }
    folder, plain = write_snapshot(tmp_path, **tables), Recipe.popular(domains.load().lists)
    earlier = trial(folder, AS_OF - timedelta(60), AS_OF - timedelta(30))
    assert training.repeating(earlier, plain) == plain


def test_repeat_settings_that_lose_on_the_last_window_are_not_published(warehouse, habitual):
    folder, shop = habitual("late", "often"), domains.load().lists
    earlier = trial(folder, AS_OF - timedelta(60), AS_OF - timedelta(30))
    assert repeat_part(training.choose(earlier, shop).settings()) != PLAIN
    made = recommend.train(warehouse, folder, as_of=AS_OF, run_id="r")
    assert made["decision"] == "promoted", made["reason"]
    card = registry.champion(warehouse, "recommend").card
    assert repeat_part(card["recipe"]) == PLAIN
    assert card["repeat"].startswith("plain personal frequency: the tuned one is not better")
    assert made["reason"].endswith(f"; repeat list: {card['repeat']}")
    repeat = "SELECT value = baseline FROM ops.model_metric WHERE slice LIKE 'repeat%'"
    assert set(warehouse.execute(repeat).fetchall()) == {(True,)}


def test_repeat_settings_that_win_twice_are_published(warehouse, habitual):
    made = recommend.train(warehouse, habitual("late", "late"), as_of=AS_OF, run_id="r")
    card = registry.champion(warehouse, "recommend").card
    assert repeat_part(card["recipe"]) != PLAIN
    assert "; repeat list: tuned, beats personal frequency (" in made["reason"]


def test_cadence_is_chosen_in_a_shop_whose_customers_buy_when_it_is_due(tmp_path):
    """Everyone buys each of 12 products every 30 days, each on a day of its own."""
    first = AS_OF - timedelta(170)
    tables = {
        "product": [product(n) for n in range(12)],
        "order_line": [
            line(n, p, str(first + timedelta(5 * (n + p) % 30 + 30 * time)))
            for n in range(60) for p in range(12) for time in range(6)
        ],
    }  # fmt: skip
    folder, plain = write_snapshot(tmp_path, **tables), Recipe.popular(domains.load().lists)
    earlier = trial(folder, AS_OF - timedelta(38), AS_OF - timedelta(28))
    assert training.repeating(earlier, plain).cadence > 0


def test_without_a_champion_the_repeat_list_is_plain_personal_frequency():
    assert repeat_part(recommend.Recipe.popular(domains.load().lists).settings()) == PLAIN


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


def test_the_card_counts_whose_purchases_taught_nothing(warehouse, tmp_path):
    tables = colours()
    tables["customer"] = [{"customer_id": n, "is_test": n < 5} for n in range(160)]
    folder = write_snapshot(tmp_path, **tables)
    recommend.train(warehouse, folder, as_of=AS_OF, run_id="r")
    card = registry.champion(warehouse, "recommend").card
    assert card["left_out"] == {"is_staff": 0, "is_test": 5}
    assert card["known"]["sources_since"] == {"shop": "2025-12-01T00:00:00+00:00"}


def test_an_equal_challenger_does_not_replace_the_champion(warehouse, planted):
    recommend.train(warehouse, planted, as_of=AS_OF, run_id="one")
    with warehouse.transaction():
        for table in ("model_version", "model_metric"):
            warehouse.execute(f"UPDATE ops.{table} SET model_version = 'recommend-older'")
    second = recommend.train(warehouse, planted, as_of=AS_OF, run_id="two")
    assert second["decision"] == "rejected"
    assert "does not really beat the champion" in second["reason"]
    assert registry.champion(warehouse, "recommend").model_version == "recommend-older"


@pytest.mark.parametrize("tables", [{}, checkerboard()], ids=["nothing", "no later orders"])
def test_too_little_to_judge_is_said_and_nothing_is_promoted(warehouse, tmp_path, tables):
    folder = write_snapshot(tmp_path / "s", **tables)
    outcome = recommend.train(warehouse, folder, as_of=AS_OF, run_id="one")
    assert outcome["decision"] == "not_ready"
    assert registry.champion(warehouse, "recommend") is None
    gaps = warehouse.execute("SELECT requirement, gap FROM ops.model_readiness ORDER BY 1")
    assert gaps.fetchall() == [
        ("choosing_customers_with_new_product", 30),
        ("test_customers_with_new_product", 30),
    ]
