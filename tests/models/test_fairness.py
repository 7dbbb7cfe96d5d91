"""Groups of people are compared, and what is sensitive is no feature."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from include import domains, profile
from include.contracts import Column
from include.domains import Fairness
from include.errors import ConfigError
from include.models import base, fairness
from include.models.examples import examples
from include.models.purchase import Purchase
from include.models.registry import Metric
from tests.snapshots import write_snapshot

# (of whom, selected and it happened, selected and not, not selected and it happened, neither)
UNEQUAL = [("female", 60, 20, 20, 100), ("male", 10, 10, 30, 150)]
QUARTER = Fairness(selected_share=0.25)


def measured(groups, limits, attribute="gender"):
    """``measure`` of customers with a score of 0.9 (selected) or 0.1."""
    rows = [
        (name, happened, score)
        for name, *counts in groups
        for count, (score, happened) in zip(
            counts, ((0.9, 1), (0.9, 0), (0.1, 1), (0.1, 0)), strict=True
        )
        for _ in range(count)
    ]
    frame = pd.DataFrame(rows, columns=[attribute, "happened", "score"])
    return fairness.measure(frame[[attribute]], frame["happened"], frame["score"], limits)


def test_shares_selected_recall_false_alarms_and_calibration_of_each_group_and_their_gaps():
    metrics, _ = measured(UNEQUAL, QUARTER)
    figures = {(each.slice, each.metric): (each.value, each.baseline) for each in metrics}
    assert {each.split for each in metrics} == {"fairness"}
    assert figures == {
        ("gender=female", "selection_rate"): (0.4, None),  # 80 of 200
        ("gender=female", "recall"): (0.75, None),  # 60 of 80
        ("gender=female", "false_positive_rate"): (0.166667, None),  # 20 of 120
        ("gender=female", "calibration_gap"): (0.02, None),  # 0.42 foreseen, 0.4 came
        ("gender=female", "customers"): (200, None),
        ("gender=male", "selection_rate"): (0.1, None),
        ("gender=male", "recall"): (0.25, None),
        ("gender=male", "false_positive_rate"): (0.0625, None),
        ("gender=male", "calibration_gap"): (-0.02, None),
        ("gender=male", "customers"): (200, None),
        ("gender", "not_compared"): (0, None),
        ("gender", "demographic_parity"): (0.3, 0.2),
        ("gender", "equalised_odds"): (0.5, 0.2),
    }


def test_a_limit_that_is_broken_is_said_in_words():
    assert measured(UNEQUAL, QUARTER)[1] == [
        "gender: selected 0.40 of female, 0.10 of male: "
        "demographic parity 0.300 over the limit of 0.200",
        "gender: of those for whom it happened, selected 0.75 of female, 0.25 of male: "
        "equalised odds 0.500 over the limit of 0.200",
    ]


def test_a_gap_among_those_for_whom_it_did_not_happen_breaks_the_same_limit():
    groups = [("female", 50, 150, 50, 150), ("male", 50, 0, 50, 300)]
    limits = Fairness(selected_share=0.3125, demographic_parity=None)
    assert measured(groups, limits)[1] == [
        "gender: of those for whom it did not happen, selected 0.50 of female, 0.00 of male: "
        "equalised odds 0.500 over the limit of 0.200"
    ]


def test_a_limit_of_null_is_measured_and_never_broken():
    limits = Fairness(selected_share=0.25, demographic_parity=None, equalised_odds=None)
    metrics, breaches = measured(UNEQUAL, limits)
    assert breaches == []
    assert Metric("fairness", "demographic_parity", "gender", 0.3, None) in metrics


def test_a_gap_that_may_be_chance_is_no_breach():
    groups = [("female", 15, 15, 15, 55), ("male", 4, 4, 26, 66)]
    metrics, breaches = measured(groups, Fairness(selected_share=0.19))
    assert Metric("fairness", "demographic_parity", "gender", 0.22, 0.2) in metrics
    assert breaches == []


def test_of_many_small_groups_the_ends_differ_by_chance_and_that_is_no_breach():
    draw = np.random.default_rng(0)
    regions = pd.DataFrame({"region": np.repeat([f"region {n}" for n in range(40)], 120)})
    scores, answers = pd.Series(draw.random(4800)), pd.Series(draw.integers(0, 2, 4800))
    limits = Fairness(demographic_parity=0.05, equalised_odds=0.05)
    metrics, breaches = fairness.measure(regions, answers, scores, limits)
    gaps = {each.metric: each.value for each in metrics if each.slice == "region"}
    assert gaps["demographic_parity"] > 0.15
    assert gaps["equalised_odds"] > 0.15
    assert breaches == []


def test_the_interval_is_that_of_newcombe():
    """Statistics in Medicine 17 (1998), table II: 56/70 less 48/80 is 0.0524 to 0.3339."""
    counts, sizes = np.array([48, 56]), np.array([80, 70])
    assert fairness.least_difference(counts, sizes, 0.05) == pytest.approx(0.0524, abs=5e-5)


def test_the_more_groups_the_less_is_sure():
    two = fairness.least_difference(np.array([80, 40]), np.array([200, 200]), 0.05)
    three = fairness.least_difference(np.array([80, 60, 40]), np.array([200, 200, 200]), 0.05)
    assert 0.08 < three < two < 0.12


def test_small_groups_and_unknown_people_are_counted_and_not_compared():
    groups = [("female", 10, 10, 40, 40), ("male", 99, 0, 0, 0), (None, 50, 0, 0, 100)]
    metrics, breaches = measured(groups, QUARTER)
    assert {each.slice for each in metrics} == {"gender", "gender=female"}
    assert [each for each in metrics if each.slice == "gender"] == [
        Metric("fairness", "not_compared", "gender", 249, None)
    ]
    assert breaches == []


def test_a_share_of_fewer_than_twenty_is_not_told():
    groups = [("female", 10, 30, 9, 151), ("male", 30, 10, 10, 150)]
    metrics, _ = measured(groups, Fairness(selected_share=0.2))
    assert [each.slice for each in metrics if each.metric == "recall"] == ["gender=male"]
    odds = [each.value for each in metrics if each.metric == "equalised_odds"]
    assert odds == [pytest.approx(30 / 181 - 10 / 160, abs=1e-6)]  # of the false alarms alone


def test_scores_equal_to_the_last_selected_are_selected_too():
    metrics, _ = measured([("female", 30, 30, 20, 20)], Fairness(selected_share=0.1))
    assert Metric("fairness", "selection_rate", "gender=female", 0.6, None) in metrics


def test_where_nothing_is_known_of_people_nothing_is_compared():
    answers, scores = pd.Series([0, 1]), pd.Series([0.1, 0.9])
    assert fairness.measure(pd.DataFrame(index=[0, 1]), answers, scores, QUARTER) == ([], [])


def test_what_is_compared_is_called_sensitive_by_the_contract():
    sensitive = {column.name for column in profile.features() if column.sensitive}
    assert sensitive >= set(fairness.GROUPS)
    assert not sensitive & {*base.features(), *base.groups()}


def test_examples_carry_the_people_beside_the_features(tmp_path):
    folder = write_snapshot(
        tmp_path,
        customer=[
            {"customer_id": 1, "gender": "f", "birth_year": 1990, "region": "Viken"},
            {"customer_id": 2, "gender": "m"},
        ],
        order_line=[
            {"customer_id": n, "order_id": f"{n}", "product_id": "p", "ordered_on": "2026-01-01"}
            for n in (1, 2, 3)
        ],
    )
    day = pd.Timestamp("2026-02-01").date()
    found = examples(Purchase(), folder, [day], 30, most=9, seed=0)
    assert found.people.fillna("unknown").to_dict("index") == {
        (day, 1): {"age_band": "35-44", "gender": "f", "region": "Viken"},
        (day, 2): {"age_band": "unknown", "gender": "m", "region": "unknown"},
        (day, 3): {"age_band": "unknown", "gender": "unknown", "region": "unknown"},
    }
    assert not set(found.profiles) & {"age_band", "gender", "region"}
    assert found.only(np.array([False, True, False])).people.index.tolist() == [(day, 2)]


AGE = Column("age", "integer", "Age.", missing="median", sensitive=True)
INCOME = Column("income", "numeric", "Income.", missing="median by gender")


@pytest.fixture
def says(monkeypatch):
    """More columns in the profile, and what the domain says of sensitive ones."""

    def says(*columns: Column, **used: str) -> None:
        more, domain = (*profile.features(), *columns), domains.load()
        limits = domain.fairness.model_copy(update={"used": used})
        changed = domain.model_copy(update={"fairness": limits})
        monkeypatch.setattr(profile, "features", lambda: more)
        monkeypatch.setattr(domains, "load", lambda: changed)

    return says


@pytest.mark.parametrize(
    "said",
    [
        {"used": {"age": "because"}},
        {"selected_share": 1},
        {"demographic_parity": -0.1},
        {"odds": 1},
    ],
)
def test_a_rule_of_fairness_that_is_none_is_refused(said):
    with pytest.raises(ValidationError):
        Fairness.model_validate(said)


def test_a_sensitive_number_is_no_feature(says):
    says(AGE)
    assert "age" not in base.features()
    assert base.sensitive_used() == {}


def test_a_sensitive_number_is_a_feature_where_the_domain_says_why(says):
    says(AGE, age="insurers must ask for it")
    assert "age" in base.features()
    assert base.sensitive_used() == {"age": "insurers must ask for it"}


def test_a_gap_is_not_filled_by_what_is_sensitive(says):
    says(INCOME)
    with pytest.raises(ConfigError, match=r"income: missing: by gender, which is sensitive; .*"):
        base.groups()


def test_a_gap_is_filled_by_what_is_sensitive_where_the_domain_says_why(says):
    says(INCOME, gender="incomes differ by it")
    assert "gender" in base.groups()
    assert base.sensitive_used() == {"gender": "incomes differ by it"}


@pytest.mark.parametrize(
    ("name", "why"),
    [("shoe_size", "no sensitive column"), ("gender", "neither a number nor what fills a gap")],
)
def test_a_reason_for_what_cannot_take_part_is_refused(says, name, why):
    says(**{name: "they asked for it"})
    with pytest.raises(ConfigError, match=f"fairness.used.{name}: {why}; take it out"):
        base.sensitive_used()
