import math

import pytest

PRODUCT = [
    {"product_id": "tea", "category": "drinks"},
    {"product_id": "jam", "category": "food"},
    {"product_id": "rye", "category": "food"},
    {"product_id": "odd"},
]


def test_the_top_category_and_product_are_those_of_most_money(profiled, line):
    assert profiled(
        "top_category, top_category_share, category_count, top_product_id, product_count",
        product=PRODUCT,
        order_line=[
            line(1, "a", "2026-02-01", 1, 60, "tea"),
            line(1, "a", "2026-02-01", 1, 10, "jam"),
            line(1, "b", "2026-02-02", 2, 5, "jam"),
            line(1, "b", "2026-02-02", -2, 5, "rye"),
            line(1, "c", "2026-02-03", 1, 50, "odd"),
            line(1, "c", "2026-02-03", 9, 100, "post", is_product=False),
        ],
    ) == [("drinks", 0.75, 2, "tea", 3)]


def test_equals_are_decided_by_name(profiled, line):
    assert profiled(
        "top_category, top_product_id",
        product=PRODUCT,
        order_line=[line(1, "a", "2026-02-01", product=name) for name in ("tea", "jam")],
    ) == [("drinks", "jam")]


def test_products_without_category_have_no_top_category(profiled, line):
    assert profiled(
        "top_category, top_category_share, category_count, product_count",
        order_line=[line(1, "a", "2026-02-01", product="unknown")],
    ) == [(None, None, 0, 1)]


def test_price_bands_are_thirds_of_the_customers(profiled, line):
    prices = [1, 2, 5, 6, 8, 9]
    assert profiled(
        "price_band, avg_unit_price",
        order_line=[line(n, f"{n}", "2026-02-01", 2, price) for n, price in enumerate(prices)],
    ) == [("low", 1), ("low", 2), ("middle", 5), ("middle", 6), ("high", 8), ("high", 9)]


def test_customers_who_pay_the_same_share_a_band(profiled, line):
    lines = [line(n, f"{n}", "2026-02-01") for n in range(4)]
    assert profiled("price_band", order_line=lines) == [("middle",)] * 4


def test_a_correction_at_a_negative_price_is_no_taste(profiled, line):
    assert profiled(
        "top_category, top_category_share, avg_unit_price",
        product=PRODUCT,
        order_line=[
            line(1, "a", "2026-02-01", 1, 10, "tea"),
            line(1, "b", "2026-02-02", 1, -90, "jam"),
        ],
    ) == [("drinks", 1, 5)]


def test_hour_weekday_and_channel_are_those_of_most_orders(profiled, line):
    channels = {"a": "web", "b": "web", "c": "store", "d": None, "e": None, "f": None}
    assert profiled(
        "preferred_hour, preferred_weekday, preferred_channel",
        customer_order=[
            {"order_id": k, "channel": v, "customer_id": 1, "ordered_on": "2026-02-02"}
            for k, v in channels.items()
        ],
        order_line=[
            line(1, "a", "2026-02-02 21:10"),  # a Monday
            line(1, "a", "2026-02-02 21:10"),
            line(1, "b", "2026-02-09 08:00"),
            line(1, "c", "2026-02-10 08:59"),
            line(1, "d", "2026-02-11 21:00"),
            line(1, "r", "2026-02-17 21:00", -1),
        ],
    ) == [(8, 1, "web")]


def test_evenly_spread_money_has_the_entropy_of_its_categories(profiled, line):
    [(entropy, top_brand, share, brands)] = profiled(
        "category_entropy, top_brand, top_brand_share, brand_count",
        product=[{**PRODUCT[0], "brand": "A"}, {**PRODUCT[1], "brand": "B"}],
        order_line=[
            line(1, "a", "2026-02-01", product="tea"),
            line(1, "b", "2026-02-01", product="jam"),
        ],
    )
    assert entropy == pytest.approx(math.log(2))
    assert (top_brand, share, brands) == ("A", 0.5, 2)
