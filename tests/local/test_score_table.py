"""Outside tables: what is made of their columns, and what the algorithms are worth on them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.errors import InputError
from include.local import score_table, table_figures
from include.local.outside_table import Table, behind_columns
from include.local.score_table import Asked
from include.models.algorithms import made
from tests.models.conftest import ROOT

DATA = ROOT / "shared" / "data"


@pytest.fixture
def shop(tmp_path):
    """120 visits; who pays by card buys, and one in ten does the other thing."""
    draw = np.random.default_rng(4)
    pays = draw.choice(["card", "bill"], 120)
    path = tmp_path / "visits.csv"
    pd.DataFrame({
        "visit": [f"v{number}" for number in range(120)],
        "pays": pays,
        "pages": draw.integers(1, 9, 120),
        "bought": np.where((pays == "card") ^ (draw.random(120) < 0.1), "yes", "no"),
    }).to_csv(path, index=False)
    return path


def test_texts_that_hold_numbers_are_numbers_and_what_names_a_row_is_left_out(tmp_path):
    pd.DataFrame({
        "id": ["a1", "a2", "a3", "a4", "a5"],
        "spent": ["1.5", " ", "2", "inf", "9"],
        "plan": ["basic", None, "basic", "basic", "full"],
        "new": [True, False, True, True, True],
        "day": pd.to_datetime(["2026-01-01"] * 5),
        "gone": ["no", "yes", "no", "no", None],
    }).to_parquet(tmp_path / "t.parquet")
    table = score_table.read(tmp_path / "t.parquet", "gone", [])
    assert table.labels.tolist() == [0, 1, 0, 0]
    unknown = pytest.approx(np.nan, nan_ok=True)
    assert table.values.to_dict("list") == {
        "spent": [1.5, unknown, 2.0, unknown],
        "plan": ["basic", "", "basic", "basic"],
        "new": [1.0, 0.0, 1.0, 1.0],
    }
    assert table.said == {
        "table": "t.parquet",
        "rows": 4,
        "label": "gone = yes",
        "base_rate": 0.25,
        "features": 3,
        "dropped": [],
        "left_out": {
            "id": "nearly a value a row: it names the row",
            "day": "a date: without a day to count from it says nothing",
        },
    }


def test_each_algorithm_gives_a_line_and_the_best_ones_scores_are_written_with_reasons(
    shop, tmp_path, monkeypatch, capsys
):
    given = {"FILE": shop, "LABEL": "bought", "ONLY": "tree logistic", "REPEATS": 2, "FOLDS": 3}
    for name, value in {**given, "OUT": tmp_path / "out.parquet"}.items():
        monkeypatch.setenv(name, str(value))
    score_table.score_table()
    about, tree, logistic, best = map(json.loads, capsys.readouterr().out.splitlines())
    assert (about["rows"], about["folds"], about["repeats"]) == (120, 3, 2)
    rate = about["base_rate"]
    assert about["naive"] == {
        "auc": 0.5,
        "average_precision": rate,
        "lift_10": 1.0,
        "brier": pytest.approx(rate * (1 - rate), abs=1e-4),
    }
    assert about["too_good"] == {}
    assert about["left_out"].keys() == {"visit"}
    assert [tree["algorithm"], logistic["algorithm"]] == ["tree", "logistic"]
    assert logistic.keys() >= {"auc", "auc_spread", "average_precision", "brier", "lift_10"}
    assert 0.8 < logistic["auc_low"] < logistic["auc"] < logistic["auc_high"] <= 1
    assert best["auc"] == max(tree["auc"], logistic["auc"])
    written = pd.read_parquet(tmp_path / "out.parquet")
    assert written["row"].tolist() == list(range(120))
    assert written.columns.tolist() == [
        "row", "label", "score", "reason_1", "reason_2", "reason_3",
    ]  # fmt: skip


def test_reasons_name_the_column_and_its_value(shop):
    table = score_table.read(shop, "bought", [])
    judged = score_table.judge(table, Asked("logistic", folds=3, repeats=1))
    pays = table.values["pays"].map({
        "card": "pays: card (raises it)",
        "bill": "pays: bill (lowers it)",
    })
    assert judged.rows["reason_1"].tolist() == pays.tolist()


def test_the_same_table_gives_the_same_scores(shop):
    table = score_table.read(shop, "bought", ["visit"])
    first, second = (score_table.judge(table, Asked("boosting", 3, 1)).rows for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_a_value_never_seen_and_a_gap_never_seen_are_scored(tmp_path):
    values = pd.DataFrame({
        "pays": pd.Series(["card", "bill"] * 20, dtype="object"),
        "pages": [1.0, 2.0] * 20,
    })
    fitted = behind_columns(made("logistic", 0), values).fit(values, [0, 1] * 20)
    odd = pd.DataFrame({"pays": ["cash"], "pages": [np.nan]})
    assert np.isfinite(fitted.predict_proba(odd)).all()


def test_a_column_that_alone_tells_the_answer_is_named_whatever_the_order_of_its_values():
    """``between`` lies in the middle for yes, on either side for no."""
    labels = np.tile([0, 1, 0, 1], 100)
    values = pd.DataFrame({
        "between": np.tile([1.0, 5.0, 9.0, 5.0], 100),
        "paid": np.tile(["open", ""], 200).astype("object"),
        "coin": np.random.default_rng(1).normal(size=400),
    })
    table = Table(values, labels, ["no", "yes"], {})
    assert score_table.too_good(table) == {"between": 1.0, "paid": 1.0}


def test_the_interval_is_about_as_wide_as_that_of_hanley_and_mcneil():
    """AUC .76 of two normal groups, 400 and 600: 1.96 standard errors (1982) are .0302."""
    draw = np.random.default_rng(3)
    labels = np.repeat([1, 0], [400, 600])
    score = draw.normal(size=1000) + labels
    foreseen = np.column_stack([-score, score])
    low, high = table_figures.interval(labels, [(np.arange(1000), foreseen)])
    found = table_figures.measure(labels, foreseen)["auc"]
    assert found == pytest.approx(0.76, abs=0.02)
    assert found - low == pytest.approx(0.030, abs=0.006)
    assert high - found == pytest.approx(0.030, abs=0.006)


@pytest.fixture
def plans(tmp_path):
    """300 customers of three plans, by what they spend; a coin is tossed for each, too."""
    draw = np.random.default_rng(6)
    spent = draw.uniform(0, 30, 300)
    path = tmp_path / "plans.csv"
    pd.DataFrame({
        "spent": spent,
        "coin": draw.integers(0, 2, 300),
        "plan": np.array(["basic", "extra", "full"])[(spent // 10).astype(int)],
        "next_year": 2 * spent + draw.normal(0, 1, 300),
    }).to_csv(path, index=False)
    return path


def run(monkeypatch, capsys, **given):
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    score_table.score_table()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_of_three_answers_each_row_gets_the_likeliest_with_its_reasons(
    plans, tmp_path, monkeypatch, capsys
):
    given = {"FILE": plans, "LABEL": "plan", "DROP": "next_year", "ONLY": "logistic tree"}
    about, logistic, tree, _ = run(
        monkeypatch, capsys, **given, FOLDS=3, OUT=tmp_path / "out.parquet"
    )
    assert about["label"] == "plan of basic, extra, full"
    assert about["too_good"].keys() == {"spent"}
    assert about["naive"]["accuracy"] == about["most_frequent"]
    assert about["naive"]["log_loss"] == pytest.approx(np.log(3), abs=0.01)
    assert logistic.keys() >= {"auc", "auc_low", "auc_high", "log_loss", "accuracy"}
    assert tree["accuracy"] > 0.9
    assert min(tree["auc"], logistic["auc"]) > 0.95
    rows = pd.read_parquet(tmp_path / "out.parquet")
    assert set(rows["label"]) == set(rows["says"]) == {"basic", "extra", "full"}
    assert rows["score"].between(1 / 3, 1).all()


def test_of_three_answers_the_reasons_are_of_the_likeliest_where_they_are_exact(plans):
    table = score_table.read(plans, "plan", ["next_year"])
    rows = score_table.judge(table, Asked("logistic", 3, 1)).rows
    spent = table.values["spent"].map("spent: {:.10g} (raises it)".format)
    surest = (rows["score"] > 0.8) & (rows["says"] == "full")
    assert surest.sum() > 30
    assert rows["reason_1"][surest].tolist() == spent[surest].tolist()
    assert score_table.judge(table, Asked("boosting", 3, 1)).rows["reason_1"].isna().all()


def test_an_amount_is_foreseen_beside_its_mean(plans, tmp_path, monkeypatch, capsys):
    about, linear, boosting, best = run(
        monkeypatch, capsys, FILE=plans, LABEL="next_year", OUT=tmp_path / "out.parquet"
    )
    assert about["naive"] == {
        "rmse": pytest.approx(17.3, abs=1),  # 60 / sqrt(12): a uniform one of that width
        "mae": pytest.approx(15, abs=1),
        "r2": 0.0,
    }
    assert [linear["algorithm"], boosting["algorithm"]] == ["linear", "boosting_amount"]
    assert linear["rmse_low"] < linear["rmse"] < linear["rmse_high"] < 4
    assert linear["r2"] > 0.95
    assert best["rmse"] == min(linear["rmse"], boosting["rmse"])
    written = pd.read_parquet(tmp_path / "out.parquet")
    assert written.columns.tolist() == ["row", "label", "score"]
    assert np.corrcoef(written["label"], written["score"])[0, 1] > 0.97


def test_a_search_stands_beside_the_algorithms_own_parameters(shop, monkeypatch, capsys):
    _, own, searched, _ = run(
        monkeypatch, capsys, FILE=shop, LABEL="bought", ONLY="tree", FOLDS=3, TRIALS=4
    )
    assert "trials" not in own
    assert (searched["algorithm"], searched["trials"]) == ("tree", 4)
    assert len(searched["chosen"]) == 3
    assert all(each.keys() <= {"max_depth", "min_samples_leaf"} for each in searched["chosen"])


def test_a_search_sees_only_the_rows_that_are_learned_from(shop):
    """With other labels in the rows that judge, the same is chosen."""
    table = score_table.read(shop, "bought", [])
    learned = np.arange(80)
    other = table.labels.copy()
    other[80:] = 1 - other[80:]
    first, second = (
        score_table._searched(each, Asked("tree", 3, 1, 9), learned, seed=0)
        for each in (table, replace(table, labels=other))
    )
    assert first == second


def test_no_search_is_made_for_an_amount(plans, monkeypatch, capsys):
    with pytest.raises(InputError, match="TRIALS searches for classes only"):
        run(monkeypatch, capsys, FILE=plans, LABEL="next_year", TRIALS=3)


def test_a_class_of_a_few_rows_is_refused(plans, monkeypatch, capsys):
    frame = pd.read_csv(plans).iloc[:250]
    frame.loc[:5, "plan"] = "rare"
    frame.to_csv(plans, index=False)
    with pytest.raises(InputError, match="an answer occurs 6 times only; FOLDS=5 needs 10 of each"):
        run(monkeypatch, capsys, FILE=plans, LABEL="plan")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"FILE": ""}, "give FILE=table.parquet (or .csv) and LABEL=column"),
        ({"FILE": "nowhere.csv"}, "nowhere.csv is not there"),
        ({"LABEL": "paid"}, "no column paid; it has visit, pays, pages, bought"),
        ({"DROP": "pays age"}, "no column age; it has visit, pays, pages, bought"),
        ({"LABEL": "visit"}, "visit has 120 values; give a LABEL that has two, up to 20, or more"),
        ({"ONLY": "oracle"}, "ONLY=oracle is unknown; give logistic logistic_descent"),
        ({"FOLDS": "1"}, "FOLDS=1 must be a number from 2 on"),
        ({"REPEATS": "few"}, "REPEATS=few must be a number from 1 on"),
        ({"TRIALS": "-1"}, "TRIALS=-1 must be a number from 0 on"),
        ({"FOLDS": "99"}, "FOLDS=99 needs 99 of each"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, dict) else "",
)
def test_what_cannot_be_used_is_said_in_one_line(shop, monkeypatch, changed, said):
    for name, value in {"FILE": str(shop), "LABEL": "bought", **changed}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as refused:
        score_table.score_table()
    assert said in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "label", "drop", "least"),
    [
        ("telco_churn", "Churn", [], 0.844),
        ("online_shoppers", "Revenue", [], 0.930),
        ("online_shoppers", "Revenue", ["PageValues"], 0.768),
    ],
)
def test_public_tables_are_foreseen_as_well_as_is_known_of_them(table, label, drop, least):
    path = DATA / table / "train.parquet"
    if not path.exists():
        pytest.skip(f"no ../shared/data/{table} beside this checkout")
    given = score_table.read(path, label, drop)
    judged = [score_table.judge(given, Asked(name, 5, 2)) for name in ("logistic", "boosting")]
    assert max(each.line["auc"] for each in judged) >= least
