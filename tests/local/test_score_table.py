"""Outside tables: what is made of their columns, and what the algorithms are worth on them."""

import json

import numpy as np
import pandas as pd
import pytest

from include.errors import InputError
from include.local import score_table
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
    assert about["left_out"].keys() == {"visit"}
    assert [tree["algorithm"], logistic["algorithm"]] == ["tree", "logistic"]
    assert logistic.keys() >= {"auc", "auc_spread", "average_precision", "brier", "lift_10"}
    assert 0.8 < logistic["auc"] < 1
    assert best["auc"] == max(tree["auc"], logistic["auc"])
    written = pd.read_parquet(tmp_path / "out.parquet")
    assert written["row"].tolist() == list(range(120))
    assert written.columns.tolist() == [
        "row", "label", "score", "reason_1", "reason_2", "reason_3",
    ]  # fmt: skip


def test_reasons_name_the_column_and_its_value(shop):
    table = score_table.read(shop, "bought", [])
    (judged,) = score_table.judge(table, ["logistic"], folds=3, repeats=1)
    pays = table.values["pays"].map({
        "card": "pays: card (raises it)",
        "bill": "pays: bill (lowers it)",
    })
    assert judged.rows["reason_1"].tolist() == pays.tolist()


def test_the_same_table_gives_the_same_scores(shop):
    table = score_table.read(shop, "bought", ["visit"])
    first, second = (
        next(score_table.judge(table, ["boosting"], folds=3, repeats=1)).rows for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second)


def test_a_value_never_seen_and_a_gap_never_seen_are_scored(tmp_path):
    values = pd.DataFrame({
        "pays": pd.Series(["card", "bill"] * 20, dtype="object"),
        "pages": [1.0, 2.0] * 20,
    })
    fitted = score_table._pipeline("logistic", values, 0).fit(values, [0, 1] * 20)
    odd = pd.DataFrame({"pays": ["cash"], "pages": [np.nan]})
    assert np.isfinite(fitted.predict_proba(odd)).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"FILE": ""}, "give FILE=table.parquet (or .csv) and LABEL=column"),
        ({"FILE": "nowhere.csv"}, "nowhere.csv is not there"),
        ({"LABEL": "paid"}, "no column paid; it has visit, pays, pages, bought"),
        ({"DROP": "pays age"}, "no column age; it has visit, pays, pages, bought"),
        ({"LABEL": "pages"}, "pages has 8 values; give a LABEL that has two"),
        ({"ONLY": "oracle"}, "ONLY=oracle is unknown; give logistic logistic_descent"),
        ({"FOLDS": "1"}, "FOLDS=1 must be a number from 2 on"),
        ({"REPEATS": "few"}, "REPEATS=few must be a number from 1 on"),
        ({"FOLDS": "99"}, "FOLDS=99 is more"),
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
    judged = score_table.judge(given, ["logistic", "boosting"], folds=5, repeats=2)
    assert max(each.line["auc"] for each in judged) >= least
