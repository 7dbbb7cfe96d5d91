from datetime import date

import numpy as np
import pandas as pd
import pytest

from include import domains, models
from include.errors import InputError
from include.models import need, score
from include.models.base import dated
from include.models.need import Need
from include.models.train import train
from tests.models.conftest import AS_OF, orders
from tests.snapshots import write_snapshot

DAY = date(2026, 3, 1)
PRODUCTS = [
    {"product_id": "tea", "category": "Tea"},
    {"product_id": "pot", "category": "Garden"},
    {"product_id": "odd"},
    {"product_id": "post", "category": "Tea"},
]


def line(customer, product, day, *, quantity=1, order="", is_product=True):
    return {
        "customer_id": customer,
        "order_id": f"{customer}-{day}{order}",
        "product_id": product,
        "ordered_on": day,
        "quantity": quantity,
        "is_product": is_product,
    }


def test_a_need_came_true_where_a_product_of_the_category_was_bought_within_the_window(tmp_path):
    folder = write_snapshot(
        tmp_path,
        product=PRODUCTS,
        order_line=[
            line(1, "tea", "2026-03-01"),
            line(2, "tea", "2026-03-31"),  # a day too late
            line(3, "pot", "2026-03-02"),
            line(4, "tea", "2026-03-02", quantity=-1),
            line(5, "odd", "2026-03-02"),
            line(6, "post", "2026-03-02", is_product=False),
        ],
    )
    answers = Need(category="Tea").labels(folder, pd.Index(range(1, 7)), DAY, 30)
    assert answers.tolist() == [1, 0, 0, 0, 0, 0]


def test_the_own_history_counts_orders_of_the_category_before_the_day(tmp_path):
    folder = write_snapshot(
        tmp_path,
        product=PRODUCTS,
        order_line=[
            line(1, "tea", "2026-02-01"),
            line(1, "tea", "2026-02-01"),  # the same order
            line(1, "tea", "2026-02-27"),
            line(1, "tea", "2026-03-01"),  # not known yet
            line(2, "pot", "2026-02-27"),
        ],
    )
    own = Need(category="Tea").own(folder, pd.Index([1, 2], name="customer_id"), DAY)
    assert own.to_dict("list") == {
        "category_order_count": [2, 0],
        "category_recency_days": [2, pytest.approx(float("nan"), nan_ok=True)],
    }


def test_without_a_model_who_bought_of_the_category_last_comes_first():
    known = pd.DataFrame(
        {"category_recency_days": [9.0, 3.0, None, None], "recency_days": [1.0, 3.0, 7.0, 5.0]},
        index=["nine days ago", "three days ago", "other things a week ago", "other things"],
    )
    naive = Need(category="Tea").naive(known).sort_values(ascending=False)
    assert list(naive.index) == [
        "three days ago", "nine days ago", "other things", "other things a week ago",
    ]  # fmt: skip


@pytest.fixture
def most(monkeypatch):
    """Say how many categories have a model."""

    def say(needs):
        domain = domains.load()
        said = domain.model_copy(
            update={"models": domain.models.model_copy(update={"needs": needs})}
        )
        monkeypatch.setattr(domains, "load", lambda: said)

    return say


CHOSEN = [
    *(line(n, "tea", "2025-10-01") for n in range(1, 4)),
    *(line(n, "pot", "2025-10-01") for n in range(1, 3)),
    *(line(n, "odd", "2025-10-01") for n in range(1, 9)),
    line(9, "pot", "2025-10-01"),
    line(9, "pot", "2025-11-01"),  # the same customer counts once
    *(line(n, "pot", "2024-09-01") for n in range(10, 20)),  # more than a year before
    *(line(n, "pot", "2026-02-20") for n in range(20, 30)),  # the answers of the test
    line(1, "tea", "2026-02-28"),
]


@pytest.mark.parametrize(
    ("needs", "names"), [(0, []), (1, ["Garden"]), (3, ["Garden", "Tea"])], ids=str
)
def test_the_categories_most_customers_bought_of_before_the_test_day_have_a_model(
    tmp_path, most, needs, names
):
    most(needs)
    folder = write_snapshot(tmp_path, product=PRODUCTS, order_line=CHOSEN)
    assert need.categories(folder, DAY) == names  # three of each: by name


def test_what_was_bought_after_the_test_day_chooses_no_category(tmp_path, most):
    most(1)
    later = [line(n, "tea", "2026-02-20") for n in range(30, 99)]
    folder = write_snapshot(tmp_path, product=PRODUCTS, order_line=[*CHOSEN, *later])
    assert need.categories(folder, DAY) == ["Garden"]


def test_a_shop_without_categories_or_orders_has_no_need_models(tmp_path):
    known = ["churn", "purchase", "high_value", "campaign"]
    folder = write_snapshot(tmp_path / "plain", order_line=[line(1, "odd", "2026-01-01")])
    assert models.wanted(folder, DAY) == known
    assert models.wanted(write_snapshot(tmp_path / "empty"), DAY) == known


def test_a_model_is_made_by_its_name_and_an_unknown_one_is_named():
    made = models.make("need:Coffee: and tea", "boosting")
    assert (made.name, made.algorithm) == ("need:Coffee: and tea", "boosting")
    for name in ("need", "need:", "churn:Tea", "fate"):
        with pytest.raises(InputError, match=f"model '{name}' is unknown; give one of churn, .*"):
            models.make(name)


@pytest.fixture(scope="module")
def tastes(tmp_path_factory):
    """300 customers who buy every 20 days: every third one tea, mostly, the others pots."""
    draw = np.random.default_rng(4)
    lines = orders(1, 300, lambda _: 20)
    for each in lines:
        share = 0.7 if each["customer_id"] % 3 == 0 else 0.15
        each["product_id"] = "tea" if draw.random() < share else "pot"
    return write_snapshot(tmp_path_factory.mktemp("tastes"), product=PRODUCTS, order_line=lines)


def test_a_planted_taste_is_learned_although_no_column_of_the_profile_shows_it(tastes):
    past, later = date(2026, 3, 1), date(2026, 5, 1)
    model = Need(category="Tea")
    frames = {
        day: dated(model, score.profile.frame(tastes, day), tastes, day) for day in (past, later)
    }
    answers = {day: model.labels(tastes, known.index, day, 30) for day, known in frames.items()}
    scores = model.fit(frames[past], answers[past], seed=0).score(frames[later])
    buys_tea = scores.index % 3 == 0
    assert scores[buys_tea].mean() > scores[~buys_tea].mean() + 0.25


def test_a_category_is_trained_and_scored_with_its_own_history_as_a_reason(
    warehouse, tastes, tmp_path
):
    made = train(warehouse, tastes, "need:Tea", as_of=AS_OF, run_id="r")
    assert made["decision"] == "promoted", made
    found = score.score(warehouse, tastes, AS_OF, tmp_path)
    assert found["models"] == {"need:Tea": made["model_version"]}
    table = pd.read_parquet(tmp_path / "customer_score.parquet")
    assert set(table["model"]) == {"need:Tea"}
    highest = table.nlargest(20, "score")
    assert highest["reason_1"].str.match(r"Orders of this category: \d+ \(raises it\)").any()


def test_the_champion_of_a_category_that_is_no_longer_wanted_gives_no_scores(
    warehouse, tastes, tmp_path, most
):
    train(warehouse, tastes, "need:Tea", as_of=AS_OF, run_id="r")
    most(1)
    assert score.score(warehouse, tastes, AS_OF, tmp_path)["models"] == {}
