from datetime import datetime

import pytest


def test_lines_are_summed_by_order_and_returns_reduce_revenue(profiled, line):
    assert profiled(
        "customer_id, recency_days, order_count, revenue, avg_order_value",
        order_line=[
            line(1, "a", "2026-02-01", 2, 10),
            line(1, "a", "2026-02-01", 1, 20),
            line(1, "b", "2026-02-27", 1, 60),
            line(1, "c", "2026-02-28", -1, 20),
        ],
    ) == [(1, 2, 2, 80, 50)]


def test_nothing_dated_on_or_after_as_of_is_seen(profiled, line):
    assert profiled(
        "customer_id, order_count, last_order_at",
        order_line=[line(1, "a", "2026-02-28 23:59:59"), line(1, "b", "2026-03-01 00:00:00")],
    ) == [(1, 1, datetime.fromisoformat("2026-02-28 23:59:59"))]


def test_gaps_are_between_purchase_days_not_orders_or_returns(profiled, line):
    assert profiled(
        "purchase_day_count, gap_days_mean, gap_days_std, order_count",
        order_line=[
            line(1, "a", "2026-01-01 09:00"),
            line(1, "b", "2026-01-01 18:00"),
            line(1, "c", "2026-01-11"),
            line(1, "r", "2026-01-12", -1),
            line(1, "d", "2026-01-31"),
        ],
    ) == [(3, 15, pytest.approx(50**0.5), 4)]


def test_a_customer_with_returns_only_has_money_but_no_order(profiled, line):
    assert profiled(
        "customer_id, recency_days, order_count, revenue, avg_order_value, return_rate, line_count",
        order_line=[line(1, "a", "2026-02-01", -2, 10)],
    ) == [(1, None, 0, -20, None, None, 0)]


def test_return_rate_and_units_leave_out_what_is_no_product(profiled, line):
    assert profiled(
        "unit_count, return_rate, line_count, avg_order_lines, avg_order_units",
        order_line=[
            line(1, "a", "2026-02-01", 8, 10),
            line(1, "a", "2026-02-01", 1, 5, "postage", is_product=False),
            line(1, "b", "2026-02-02", -2, 10),
            line(1, "c", "2026-02-03", -1, 3, "discount", is_product=False),
        ],
    ) == [(8, 0.25, 2, 2, 8)]


def test_the_share_of_discounts_is_of_the_price_before_them(profiled, line):
    assert profiled(
        "discount_share, revenue",
        order_line=[line(1, "a", "2026-02-01", 2, 10, discount=5), line(1, "a", "2026-02-01")],
    ) == [(5 / 30, 25)]


def test_money_is_exact_in_any_number_of_lines(profiled, line):
    lines = [line(1, f"o{n}", "2026-02-01", 1, "0.1") for n in range(1000)]
    [(revenue,)] = profiled("revenue", order_line=lines)
    assert str(revenue) == "100.000000"
