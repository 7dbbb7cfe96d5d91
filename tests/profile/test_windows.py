COLUMNS = (
    "orders_30d, orders_90d, orders_365d, CAST(revenue_30d AS integer), "
    "CAST(revenue_90d AS integer), CAST(revenue_365d AS integer), revenue_trend_90d"
)


def test_a_window_starts_on_the_day_so_many_days_before_as_of(profiled, line):
    assert profiled(
        COLUMNS,
        order_line=[
            line(1, "a", "2026-01-30", price=1),  # 30 days before
            line(1, "b", "2026-01-29", price=2),
            line(1, "c", "2025-12-01", price=4),  # 90
            line(1, "d", "2025-11-30", price=8),
            line(1, "e", "2025-03-01", price=16),  # 365
            line(1, "f", "2025-02-28", price=32),
            line(1, "g", "2026-03-01", price=64),
        ],
    ) == [(1, 3, 5, 1, 7, 31, (7 - 8) / (7 + 8))]


def test_returns_count_as_money_but_not_as_orders(profiled, line):
    assert profiled(
        COLUMNS,
        order_line=[line(1, "a", "2026-02-20", 2), line(1, "b", "2026-02-21", -1)],
    ) == [(1, 1, 1, 10, 10, 10, 1)]


def test_orders_of_the_last_90_days_are_held_against_the_90_before(profiled, line):
    days = ["2025-10-01", "2026-01-01", "2026-02-01", "2026-02-23"]
    assert profiled(
        "orders_7d, orders_90d, orders_trend_90d", order_line=[line(1, day, day) for day in days]
    ) == [(1, 3, 0.5)]
