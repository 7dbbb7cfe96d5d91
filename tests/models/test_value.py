from datetime import date, timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_limits

from include import contracts
from include.models import value
from include.models.value import boosted, contest, foreseen, publish
from include.models.value.historic import historic
from include.models.value.history import history, spent
from tests.models.conftest import AS_OF as HABITS_END
from tests.snapshots import write_snapshot

AS_OF = date(2026, 1, 1)


def expected(recency, orders, gap, revenue, first):
    frame = pd.DataFrame({
        "recency_days": [recency, 10],
        "order_count": [orders, 5],
        "gap_days_mean": [gap, 20],
        "revenue": [revenue, 50],
        "first_order_at": pd.to_datetime([first, "2025-10-03"]),
    }).astype({"recency_days": "float64", "gap_days_mean": "float64"})
    found = historic(frame, AS_OF, days=365, fallback_gap_days=90)
    return found[["orders", "revenue", "prob_alive"]].iloc[0].tolist()


def test_within_the_usual_gap_the_past_rate_goes_on():
    assert expected(20, 11, 30, 1100, "2025-01-01") == [10, 1000, 1]


def test_each_further_gap_halves_it():
    assert expected(90, 11, 30, 1100, "2025-01-01") == [2.5, 250, 0.25]


def test_one_order_has_no_rate_and_the_usual_gap_of_all():
    assert expected(30, 1, None, 10, "2025-12-02") == [0, 0, pytest.approx(0.5**0.5)]


def test_two_orders_in_a_week_are_no_hundred_a_year():
    assert expected(1, 2, 1, 20, "2025-12-30")[0] == pytest.approx(365 / 90, abs=1e-6)


def test_returns_only_expect_nothing():
    assert expected(None, 0, None, -40, None) == [0, 0, 0]


def line(day, quantity=1, price=10, order="", customer=7):
    return {
        "customer_id": customer,
        "order_id": f"shop:{day}{order}",
        "product_id": "shop:p",
        "ordered_on": day,
        "quantity": quantity,
        "unit_price": price,
    }


def test_orders_of_one_day_are_one_purchase_and_returns_lower_its_worth(tmp_path):
    folder = write_snapshot(
        tmp_path,
        order_line=[
            line("2025-12-04", order="a"),
            line("2025-12-04", order="b"),
            line("2025-12-18", price=30),
            line("2025-12-20", quantity=-1, price=20),
            line("2026-01-01", price=99),
            line("2025-12-20", quantity=-1, customer=8),
        ],
    )
    assert history(folder, AS_OF).reset_index().to_dict("records") == [
        {"customer_id": 7, "repeats": 1, "last": 2, "age": 4, "count": 2, "mean_value": 15}
    ]


def test_what_was_spent_counts_days_and_nets_returns(tmp_path):
    folder = write_snapshot(
        tmp_path,
        order_line=[
            line("2025-12-31"),
            line("2026-01-01"),
            line("2026-01-05", price=30),
            line("2026-01-05", quantity=-1, price=5),
            line("2026-01-11"),
        ],
    )
    found = spent(folder, pd.Index([7, 8], name="customer_id"), AS_OF, 10)
    assert found.reset_index().to_numpy().tolist() == [[7, 2, 35], [8, 0, 0]]


@pytest.fixture(scope="module")
def decided(habits):
    return contest.contest(habits, HABITS_END)


@pytest.fixture(scope="module")
def table(habits, decided):
    return publish.value(habits, HABITS_END, decided)


def test_the_method_nearest_on_the_later_date_publishes(decided, table):
    errors = {name: said["rmse_revenue"] for name, said in decided.figures.items()}
    assert list(errors) == ["historic", "bg_nbd", "boosted", "mean"]
    assert errors["mean"] > min(errors.values())
    assert decided.method == min(errors, key=errors.get)
    assert set(table["method"]) == {decided.method}
    assert decided.outcome.promoted
    assert decided.outcome.reason.startswith(f"{decided.method} beats the baseline mean (")


def test_where_all_buy_alike_no_method_is_really_nearer_than_the_mean(warehouse, noise):
    made = value.train(warehouse, noise, as_of=HABITS_END, run_id="r")
    assert made["decision"] == "rejected", made
    assert "does not really beat the baseline mean" in made["reason"]
    table = publish.value(noise, HABITS_END, publish.chosen(None))
    assert set(table["method"]) == {"historic"}


def test_another_method_takes_over_only_if_it_is_really_nearer(habits):
    """Boosted and the past rate are about equally near there, BG/NBD is further away."""
    for in_use, promoted in (("bg_nbd", True), ("historic", False)):
        said = contest.contest(habits, HABITS_END, champion=in_use).outcome
        assert said.promoted == promoted, said.reason


def test_the_later_date_and_the_days_learned_from_lie_before_their_answers(decided):
    newest = decided.test + timedelta(days=90)
    assert newest <= HABITS_END
    assert max(decided.learned) + timedelta(days=90) <= decided.test


def test_what_was_foreseen_and_done_on_the_later_date_stands_beside_each_other(habits, decided):
    judged = decided.judged
    assert list(judged) == ["historic", "bg_nbd", "boosted", "mean", "revenue"]
    did = spent(habits, judged.index, decided.test, 90)
    assert judged["revenue"].tolist() == did["revenue"].tolist()
    for name, said in decided.figures.items():
        error = ((judged[name] - judged["revenue"]) ** 2).mean() ** 0.5
        assert said["rmse_revenue"] == pytest.approx(error, abs=1e-6)


def test_a_year_ahead_is_judged_from_a_year_before_the_end_and_decides_nothing(habits, decided):
    bought = pd.read_parquet(habits / "order_line.parquet")["ordered_on"]
    assert decided.year == bought.max() + timedelta(days=1) - timedelta(days=365)
    there = history(habits, decided.year).index
    came = spent(habits, there, decided.year, 365)["revenue"].sum()
    ahead = {name: said for name, said in decided.figures.items() if "rmse_revenue_365d" in said}
    assert list(ahead) == ["historic", "bg_nbd", "mean"]  # 175 days were too few to boost from
    for said in ahead.values():
        assert said["actual_revenue_365d"] == pytest.approx(came, abs=1e-4)
    assert "365" not in decided.outcome.reason


def test_boosting_foresees_a_year_in_proportion_to_bg_nbd_and_orders_as_many_as_came(
    habits, decided
):
    seen = foreseen.known(habits, decided.test)
    said = boosted.learn(habits, decided.learned, 90).foresee(seen)
    habit = foreseen.foresee(seen)
    for name in ("orders", "revenue"):
        ahead = said[f"{name}_365d"] / said[f"{name}_90d"]
        assert ahead.tolist() == pytest.approx(
            (habit["orders_365d"] / habit["orders_90d"]).tolist()
        )
    figures = decided.figures["boosted"]
    assert figures["total_orders"] == pytest.approx(figures["actual_orders"], rel=0.15)


def test_a_history_too_short_for_a_year_ahead_is_judged_by_90_days_alone(tmp_path):
    lines = [
        line(str(date(2025, 2, 1) + timedelta(days=day)), customer=customer)
        for customer in range(60)
        for day in range(customer % 9, 330, 30 + customer % 7)
    ]
    decided = contest.contest(write_snapshot(tmp_path, order_line=lines), AS_OF)
    assert decided.year is None
    assert "rmse_revenue" in decided.figures["bg_nbd"]
    assert "rmse_revenue_365d" not in decided.figures["bg_nbd"]


def test_without_a_method_everybody_does_what_those_known_before_did_on_average(tmp_path):
    folder = write_snapshot(
        tmp_path,
        order_line=[
            line("2025-01-01", customer=1),
            line("2025-01-01", customer=2),
            line("2025-01-01", customer=3),  # not asked about
            line("2025-10-03", price=40, customer=1),  # the first of the 90 days
            line("2025-12-31", price=20, customer=1),
            line("2025-12-31", price=99, customer=3),
            line("2025-12-31", price=99, customer=4),  # not known before
            line("2026-01-01", price=99, customer=2),
        ],
    )
    found = contest.everybody_alike(folder, pd.Index([1, 2, 4], name="customer_id"), AS_OF)
    assert found[["orders_90d", "revenue_90d"]].drop_duplicates().to_numpy().tolist() == [[1, 30]]
    assert found["revenue_365d"].tolist() == [pytest.approx(30 * 365 / 90)] * 3


def test_a_year_holds_more_than_a_quarter_and_fewer_stay(table):
    assert (table["expected_orders_90d"] <= table["expected_orders_365d"]).all()
    assert (table["expected_revenue_90d"] <= table["expected_revenue_365d"]).all()
    assert (table["orders_90d_high"] <= table["orders_365d_high"]).all()
    assert (table["prob_alive_365d"] <= table["prob_alive_90d"]).all()
    assert (table["prob_alive_90d"] <= table["prob_alive"]).all()


def test_four_of_five_customers_end_up_within_the_range(decided):
    covered = decided.figures["bg_nbd"]
    assert covered["covered_orders"] >= 0.8
    assert covered["covered_revenue"] >= 0.8


@pytest.mark.parametrize("method", ["bg_nbd", "boosted"])
def test_the_same_seed_gives_the_same_rows_on_one_thread_or_two(habits, decided, method):
    chosen = contest.Contest(method, decided.outcome, decided.test, decided.learned, decided.ready)
    with threadpool_limits(limits=1):
        first = publish.value(habits, HABITS_END, chosen, seed=7)
    with threadpool_limits(limits=2):
        pd.testing.assert_frame_equal(publish.value(habits, HABITS_END, chosen, seed=7), first)


def test_a_publish_foresees_by_the_method_that_the_training_chose(
    warehouse, habits, tmp_path, decided, table
):
    value.train(warehouse, habits, as_of=HABITS_END, run_id="train/1")
    assert value.compute(warehouse, habits, HABITS_END, tmp_path) == 297
    written = pq.read_table(tmp_path / "customer_value.parquet")
    assert written.column_names == [
        column.name for column in contracts.load("mart.customer_value").own_columns
    ]
    assert set(written["method"].to_pylist()) == {decided.method}
    foreseen = table["expected_revenue_90d"].tolist()
    assert written["expected_revenue_90d"].to_pylist() == foreseen


def test_without_a_training_the_past_rate_publishes(warehouse, habits, tmp_path):
    assert value.compute(warehouse, habits, HABITS_END, tmp_path) == 297
    written = pq.read_table(tmp_path / "customer_value.parquet")
    assert set(written["method"].to_pylist()) == {"historic"}


def test_with_too_little_history_the_past_rate_publishes_and_says_why(warehouse, tmp_path):
    folder = write_snapshot(tmp_path / "thin", order_line=[line("2025-12-19"), line("2025-12-29")])
    decided = contest.contest(folder, AS_OF)
    assert decided.outcome.reason == (
        "history_days: 11 found, 180 needed; repeat_buyers: 0 found, 50 needed"
    )
    assert value.compute(warehouse, folder, AS_OF, tmp_path) == 1
    row = pq.read_table(tmp_path / "customer_value.parquet").to_pylist()[0]
    assert (row["method"], row["prob_alive"], row.get("orders_90d_low")) == ("historic", 1.0, None)


def test_without_any_order_there_is_nobody_to_value(warehouse, tmp_path):
    folder = write_snapshot(tmp_path / "empty")
    assert value.compute(warehouse, folder, AS_OF, tmp_path) == 0


def test_what_was_measured_and_decided_is_kept_once(warehouse, habits):
    for run_id in ("first", "again"):
        value.train(warehouse, habits, as_of=HABITS_END, run_id=run_id)
    runs = warehouse.execute("SELECT model, run_id, reason FROM bi.model_run").fetchall()
    assert [(model, run_id) for model, run_id, _ in runs] == [("value", "first")]
    assert "; RMSE of the revenue of 90 days: historic" in runs[0][2]
    measured = warehouse.execute(
        """SELECT slice, baseline IS NOT NULL FROM bi.model_metric
           WHERE metric = 'rmse_revenue' ORDER BY slice"""
    ).fetchall()
    assert measured == [("bg_nbd", True), ("boosted", True), ("historic", True), ("mean", True)]
