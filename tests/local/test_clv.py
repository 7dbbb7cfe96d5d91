import json
from datetime import date

import pandas as pd
import pytest

from include.errors import InputError
from include.local import clv

MADE_UP = """customer,date,value
a,2026-01-01,10
a,2026-01-15,20
a,2026-01-15,10
a,2026-02-12,40
b,2026-01-01,5
c,2026-01-08,10
c,2026-02-05,30
c,2026-03-05,50
d,2026-03-01,10
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "purchases.csv"
    path.write_text(MADE_UP)
    return path


@pytest.fixture
def cdnow(shared_data, tmp_path):
    """The CDNOW sample in the layout of the command."""
    path = shared_data("cdnow_sample") / "cdnow_sample.txt"
    names = ["id", "customer", "date", "number", "value"]
    rows = pd.read_csv(path, sep=r"\s+", header=None, names=names)
    rows["date"] = pd.to_datetime(rows["date"].astype("str"))
    rows[["customer", "date", "value"]].to_parquet(tmp_path / "cdnow.parquet")
    return tmp_path / "cdnow.parquet"


def test_a_day_is_one_purchase_and_what_comes_after_is_what_really_happened(file, tmp_path):
    figures = clv.valued(file, date(2026, 2, 12), out=tmp_path / "out.parquet")
    rows = pd.read_parquet(tmp_path / "out.parquet").set_index("customer")
    known = ["repeats", "last", "age", "mean_value", "actual_orders", "actual_revenue"]
    assert rows[known].T.to_dict("list") == {
        "a": [2, 6, 6, 35, 0, 0],
        "b": [0, 0, 6, 0, 0, 0],
        "c": [1, 4, 5, 30, 1, 50],
    }
    assert (figures["customers"], figures["repeaters"], figures["holdout_days"]) == (3, 2, 21)
    assert figures["orders_actual"] == 1
    assert figures["orders_total"] == pytest.approx(rows["expected_orders"].sum(), abs=1e-4)


def test_without_later_purchases_a_year_is_foreseen(file, tmp_path):
    figures = clv.valued(file, date(2026, 3, 31), out=tmp_path / "out.parquet")
    assert figures["holdout_days"] == 0
    assert "orders_rmse" not in figures
    assert "actual_orders" not in pd.read_parquet(tmp_path / "out.parquet")


def test_the_command_prints_one_line(file, monkeypatch, capsys):
    monkeypatch.setenv("FILE", str(file))
    monkeypatch.setenv("CALIBRATE_UNTIL", "2026-02-12")
    clv.clv()
    assert json.loads(capsys.readouterr().out)["customers"] == 3


@pytest.mark.parametrize(
    ("text", "until", "said"),
    [
        ("who,date,value\na,2026-01-01,1\n", "2026-02-12", "needs the columns customer, date"),
        ("customer,date,value\na,soon,1\n", "2026-02-12", "needs the columns customer, date"),
        (MADE_UP, "2025-12-31", "no purchase up to 2025-12-31: give a later CALIBRATE_UNTIL"),
        (MADE_UP, "2026-01-10", "BG/NBD: needs repeat buyers"),
        (MADE_UP, "July", "CALIBRATE_UNTIL=July is no day: give one as 2026-06-30"),
        (MADE_UP, "", "give FILE=purchases.csv and CALIBRATE_UNTIL=2026-06-30"),
    ],
)
def test_what_cannot_be_used_is_one_line(file, monkeypatch, text, until, said):
    file.write_text(text)
    monkeypatch.setenv("FILE", str(file))
    monkeypatch.setenv("CALIBRATE_UNTIL", until)
    with pytest.raises(InputError, match=said):
        clv.clv()


def test_cdnow_gives_the_published_parameters(cdnow):
    figures = clv.valued(cdnow, date(1997, 9, 30))
    fitted = figures["bg_nbd"]
    assert [round(fitted[name], 3) for name in ("r", "alpha", "a", "b")] == [
        0.243, 4.414, 0.793, 2.426,
    ]  # fmt: skip
    assert fitted["log_likelihood"] == pytest.approx(-9582.4, abs=0.05)
    assert figures["repeaters"] == 946
    worth = [figures["gamma_gamma"][name] for name in ("p", "q", "v")]
    assert worth == pytest.approx([6.25, 3.74, 15.45], abs=0.01)


def test_cdnow_s_next_39_weeks_are_foreseen_in_order_and_sum(cdnow):
    figures = clv.valued(cdnow, date(1997, 9, 30))
    assert (figures["holdout_days"], figures["orders_actual"]) == (273, 1882)
    assert figures["orders_total"] == pytest.approx(1653, abs=2)
    assert figures["orders_correlation"] == pytest.approx(0.626, abs=0.002)
    assert figures["orders_rmse"] == pytest.approx(1.608, abs=0.002)
