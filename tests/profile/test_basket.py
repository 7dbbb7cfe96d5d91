import pytest


def test_orders_are_told_by_their_largest_their_middle_and_their_spread(profiled, line):
    assert profiled(
        "largest_order_value, largest_order_units, largest_order_lines, order_value_median, "
        "order_value_variation",
        order_line=[
            line(1, "a", "2026-02-01", 2, 10),
            line(1, "a", "2026-02-01", 1, 20),
            line(1, "b", "2026-02-02", 1, 20),
            line(1, "c", "2026-02-03", 5, 12),
            line(1, "d", "2026-02-04", -5, 12),
        ],
    ) == [(60, 5, 2, 40, pytest.approx(0.5))]


def test_shares_are_of_orders_lines_and_money(profiled, line):
    assert profiled(
        "single_line_share, return_order_share, returned_value_share, discounted_line_share",
        order_line=[
            line(1, "a", "2026-02-01", 1, 30, discount=5),
            line(1, "a", "2026-02-01", 1, 15),
            line(1, "b", "2026-02-02", 1, 40),
            line(1, "r", "2026-02-03", -1, 20),
        ],
    ) == [(0.5, 1 / 3, 0.25, 1 / 3)]


def test_where_no_line_records_a_discount_its_share_is_unknown(profiled, line):
    lines = [line(1, "a", "2026-02-01")]
    assert profiled("discounted_line_share, discount_share", order_line=lines) == [(None, None)]
