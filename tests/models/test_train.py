import re
import shutil
from datetime import date

import numpy as np
import pandas as pd
import pytest

from include import domains
from include.errors import InputError
from include.models import MODELS, assign, metrics, registry
from include.models.purchase import Purchase
from include.models.score import rank, score
from include.models.train import examples, train
from tests.models.conftest import AS_OF, orders
from tests.snapshots import write_snapshot


@pytest.mark.parametrize("model", ["churn", "purchase"])
def test_a_planted_habit_is_promoted_and_scored_the_same_twice(warehouse, habits, tmp_path, model):
    made = train(warehouse, habits, model, as_of=AS_OF, run_id="r1")
    assert made["decision"] == "promoted", made
    measured = dict(
        warehouse.execute(
            "SELECT metric, value FROM bi.model_metric WHERE slice = 'all' AND split = 'test'"
        ).fetchall()
    )
    assert measured.keys() >= {
        "accuracy", "precision", "recall", "f1", "auc", "brier", "average_precision", "base_rate",
    }  # fmt: skip
    assert measured["auc"] > 0.7
    found = score(warehouse, habits, AS_OF, tmp_path / "a")
    assert found["models"] == {model: made["model_version"]}
    again = train(warehouse, habits, model, as_of=AS_OF, run_id="r2")
    assert again == made
    score(warehouse, habits, AS_OF, tmp_path / "b")
    first = pd.read_parquet(tmp_path / "a" / "customer_score.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "b" / "customer_score.parquet"), first)
    assert warehouse.execute("SELECT run_id, champion FROM bi.model_run").fetchall() == [
        ("r1", True)
    ]


@pytest.mark.parametrize("model", ["churn", "purchase"])
def test_noise_is_not_promoted_and_gives_no_scores(warehouse, noise, tmp_path, model):
    made = train(warehouse, noise, model, as_of=AS_OF, run_id="r")
    assert made["decision"] == "rejected", made
    assert "AUC does not really beat the baseline" in made["reason"]
    assert registry.champion(warehouse, model) is None
    assert score(warehouse, noise, AS_OF, tmp_path)["rows"] == 0
    assert pd.read_parquet(tmp_path / "customer_score.parquet").empty


class Blurred(Purchase):
    """Learns from answers of which every third is another customer's."""

    def fit(self, profiles, labels, *, seed):
        draw = np.random.default_rng(seed)
        blurred = labels.mask(draw.random(len(labels)) < 0.33, draw.permutation(labels))
        return super().fit(profiles, blurred, seed=seed)


@pytest.mark.parametrize("challenger", [Purchase, Blurred])
def test_a_challenger_that_is_as_good_or_worse_is_kept_out(
    warehouse, habits, monkeypatch, challenger
):
    first = train(warehouse, habits, "purchase", as_of=AS_OF, run_id="r1")
    monkeypatch.setitem(MODELS, "purchase", challenger)
    made = train(warehouse, habits, "purchase", as_of=AS_OF, run_id="r2", seed=1)
    assert made["decision"] == "rejected"
    assert "AUC does not really beat" in made["reason"]
    assert warehouse.execute(
        "SELECT model_version FROM bi.model_run WHERE champion"
    ).fetchall() == [(first["model_version"],)]
    known = "SELECT metric FROM bi.model_metric WHERE split = 'interval' AND model_version = %s"
    assert {name for (name,) in warehouse.execute(known, [made["model_version"]]).fetchall()} == {
        f"{figure}_{end}"
        for figure in ("auc", "auc_above_naive", "auc_above_champion")
        for end in ("low", "high")
    }


def test_a_feature_that_knows_the_future_is_refused_by_name(warehouse, habits, tmp_path, leaking):
    shutil.copytree(habits, tmp_path / "shop")
    made = train(warehouse, tmp_path / "shop", "purchase", as_of=AS_OF, run_id="r")
    assert made["decision"] == "rejected"
    assert re.match(
        r"leak: .*\border_count\b.* of 2026-05-26 could not have been known", made["reason"]
    )
    assert registry.champion(warehouse, "purchase") is None


def test_where_a_limit_of_the_domain_is_broken_a_person_is_asked(warehouse, habits, asks):
    asks(calibration_error=1e-6)
    made = train(warehouse, habits, "purchase", as_of=AS_OF, run_id="r")
    assert (made["decision"], made["promoted"]) == ("asks", False)
    assert made["reason"].startswith("a person decides: its probabilities were off by 0.")
    assert registry.champion(warehouse, "purchase") is None


def order(customer, day, quantity=1):
    return {
        "customer_id": customer,
        "order_id": f"{customer}-{day}",
        "product_id": "p",
        "ordered_on": day,
        "quantity": quantity,
        "unit_price": 10,
    }


@pytest.mark.parametrize(
    ("changed", "learned", "counts"),
    [
        ({}, [4, 5], {"is_staff": 4, "is_test": 4}),
        ({"is_staff": "keep"}, [1, 4, 5], {"is_test": 4}),
        ({"is_bulk_buyer": "leave_out"}, [4], {"is_staff": 4, "is_test": 4, "is_bulk_buyer": 2}),
        ({"is_staff": "keep", "is_test": "keep"}, [1, 2, 3, 4, 5], {}),
    ],
)
def test_of_noise_nothing_is_learned_where_the_domain_says_so_and_it_is_counted(
    tmp_path, rules, changed, learned, counts
):
    rules(**changed)
    flags = {1: (True, False), 2: (False, True), 3: (True, True), 4: (False, False)}
    folder = write_snapshot(
        tmp_path,
        customer=[
            {"customer_id": n, "is_staff": staff, "is_test": test}
            for n, (staff, test) in flags.items()
        ],
        order_line=[
            *(order(n, "2026-01-01") for n in flags),
            {**order(5, "2026-01-01"), "quantity": 99},
        ],
    )
    days = [date(2026, 2, 1), date(2026, 3, 1)]
    found = examples(Purchase(), folder, days, 30, most=99, seed=0)
    assert found.labels.index.tolist() == [(day, n) for day in days for n in learned]
    assert found.noise == counts


def test_the_card_says_what_was_known_and_who_is_left_out_and_all_of_them_are_scored(
    warehouse, tmp_path
):
    lines = orders(1, 300, lambda customer: 15 if customer % 3 == 0 else 120)
    customers = [{"customer_id": 3 * n, "is_staff": n < 5, "is_test": n > 6} for n in range(1, 11)]
    folder = write_snapshot(tmp_path, order_line=lines, customer=customers)
    made = train(warehouse, folder, "purchase", as_of=AS_OF, run_id="r")
    assert made["decision"] == "promoted", made
    card = registry.champion(warehouse, "purchase").card
    assert card["left_out"]["test"] == {"is_staff": 4, "is_test": 4}
    assert card["known"] == {
        "at": "2026-01-01T00:00:00+00:00",
        "sources_since": {"shop": "2025-12-01T00:00:00+00:00"},
        "before": "of a day before its source's first landing only the dates in the rows are "
        "honoured, not what was known then",
    }
    score(warehouse, folder, AS_OF, tmp_path)
    scored = pd.read_parquet(tmp_path / "customer_score.parquet").set_index("customer_id")
    assert scored.loc[[3, 6, 9, 12, 21, 24, 27, 30], "score"].notna().all()


class Anyone(Purchase):
    """Also asks of those who never bought, who lack what must be there to learn from."""

    lacking: tuple[int, ...] = ()

    def ineligible(self, profiles):
        return pd.Series(None, index=profiles.index, dtype="object")

    def naive(self, profiles):
        return -profiles["recency_days"].fillna(999)

    def fit(self, profiles, labels, *, seed):
        Anyone.lacking += (int(profiles["recency_days"].isna().sum()),)
        return super().fit(profiles, labels, seed=seed)


def test_neither_fit_learns_from_rows_that_lack_what_must_be_there(
    warehouse, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "purchase", Anyone)
    lines = orders(1, 300, lambda customer: 15 if customer % 3 == 0 else 120)
    customers = [{"customer_id": n} for n in range(301, 311)]
    folder = write_snapshot(tmp_path, order_line=lines, customer=customers)
    train(warehouse, folder, "purchase", as_of=AS_OF, run_id="r")
    assert set(Anyone.lacking) == {0}


THIN = {
    "nothing at all": {},
    "one customer": {"order_line": [order(1, "2026-05-01")]},
    "no second order": {"order_line": [order(n, "2026-05-01") for n in range(1, 9)]},
    "returns only": {"order_line": [order(1, "2026-05-01", -1), order(2, "2026-05-01", -1)]},
    "signed up only": {"customer": [{"customer_id": 1, "signup_on": "2025-01-01"}]},
}


@pytest.mark.parametrize("tables", THIN.values(), ids=THIN)
def test_thin_data_is_refused_with_the_shortfall(warehouse, tmp_path, tables):
    folder = write_snapshot(tmp_path, **tables)
    names = ["churn", "purchase", "high_value", "campaign", "need:Wine"]
    for model in names:
        made = train(warehouse, folder, model, as_of=AS_OF, run_id="r")
        assert (made["decision"], made["promoted"]) == ("not_ready", False)
        assert "history_days: " in made["reason"]
    short = "SELECT model FROM bi.model_readiness WHERE gap > 0 AND requirement = 'history_days'"
    assert set(warehouse.execute(short).fetchall()) == {(model,) for model in names}
    assert score(warehouse, folder, AS_OF, tmp_path)["rows"] == 0


def test_an_unknown_model_is_named(warehouse, tmp_path):
    with pytest.raises(InputError, match="'fate' is unknown; give one of churn, purchase"):
        train(warehouse, tmp_path, "fate", as_of=AS_OF, run_id="r")


def test_scores_rank_and_reasons_stand_beside_who_is_left_out(warehouse, habits, tmp_path):
    train(warehouse, habits, "churn", as_of=AS_OF, run_id="r")
    score(warehouse, habits, AS_OF, tmp_path)
    table = pd.read_parquet(tmp_path / "customer_score.parquet")
    eligible = table[table["eligible"]]
    assert eligible[["score", "percentile", "decile"]].notna().all(axis=None)
    highest_fifth = eligible["percentile"] > 80  # equal scores at its edge share the upper end
    assert eligible["reason_1"].notna().tolist() == highest_fifth.tolist()
    assert eligible["ineligible_reason"].isna().all()
    assert eligible["score"].between(0, 1).all()
    assert (table["horizon_days"] == 90).all()


def test_equal_scores_share_the_better_decile():
    ranked = rank(pd.Series([0.9, 0.5, 0.5, 0.1]))
    assert ranked["decile"].tolist() == [1, 3, 3, 8]
    assert ranked["percentile"].tolist() == [100, 75, 75, 25]


def test_chance_is_one_half_and_three_deviations():
    assert metrics.chance(pd.Series([0] * 50 + [1] * 50)) == pytest.approx(0.674, abs=0.001)
    assert metrics.chance(pd.Series([1, 1])) == 1


def test_the_real_shop_beats_recency_alone(warehouse, real_shop):
    for model, least in (("churn", 0.74), ("purchase", 0.74)):
        made = train(
            warehouse, real_shop, model, as_of=pd.Timestamp("2011-09-10").date(), run_id="r"
        )
        assert made["decision"] == "promoted", made
        value, baseline = warehouse.execute(
            """SELECT value, baseline FROM bi.model_metric
               WHERE metric = 'auc' AND slice = 'all' AND model_version = %s""",
            [made["model_version"]],
        ).fetchone()
        assert value > least
        assert value > baseline + 0.03
    assert assign.assign(warehouse, real_shop, AS_OF, real_shop)["model_version"] is None


def test_where_the_domain_leaves_the_algorithm_open_the_card_says_which_it_was(
    warehouse, habits, monkeypatch
):
    domain = domains.load()
    models = domain.models.model_copy(update={"algorithm": "auto"})
    monkeypatch.setattr(domains, "load", lambda: domain.model_copy(update={"models": models}))
    train(warehouse, habits, "purchase", as_of=AS_OF, run_id="r")
    card = registry.champion(warehouse, "purchase").card
    assert card["algorithm"] in {"logistic", "boosting"}
    assert card["made_of"]["parameters"]["algorithm"] == "auto"
