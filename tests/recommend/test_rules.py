"""What the domain file keeps off the lists, and how mixed it wants them."""

import pytest

from tests.recommend.shop import checkerboard, line, product


def offered(lists, tables) -> set[str]:
    table, similar, _ = lists(tables)
    assert set(similar["similar_product_id"]) <= set(table["product_id"])
    return set(table["product_id"])


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ({"product_id": ("p0", "p3")}, {"p0", "p3"}),
        ({"category": ("tea",)}, {"p0", "p2", "p4", "p6"}),
        ({"brand": ("Acme",)}, {"p5"}),
    ],
)
def test_what_the_domain_leaves_out_is_on_no_list(shop, lists, rule, gone):
    tables = checkerboard()
    tables["product"][5]["brand"] = "Acme"
    everything = {f"p{n}" for n in range(8)}
    assert offered(lists, tables) == everything
    shop(leave_out=rule)
    assert offered(lists, tables) == everything - gone


def test_what_earns_too_little_is_on_no_list_and_an_unknown_cost_is_enough(shop, lists):
    tables = checkerboard()
    for number, cost in enumerate([9, 8, 5, None, 0, 11, None, 8.1]):  # of a price of 10
        tables["product"][number]["cost"] = cost
    shop(least_margin_percent=20)
    assert offered(lists, tables) == {"p1", "p2", "p3", "p4", "p6"}


def test_a_list_has_at_most_so_many_of_a_category(shop, lists):
    tables = checkerboard(customers=4)
    tables["product"] += [product(n, category="books") for n in (8, 9)]
    tables["order_line"] += [line(n, 8 + n % 2, "2026-02-20") for n in range(4)]
    tables["customer"].append({"customer_id": 99})
    shop(most_per_category=2, explore_length=5)
    table, _, _ = lists(tables)
    own = table[(table["customer_id"] == 99) & (table["list"] == "explore")]
    kinds = {"books" if p in {"p8", "p9"} else ("tea", "nails")[int(p[1:]) % 2] for p in
             own["product_id"]}  # fmt: skip
    assert kinds == {"books", "tea", "nails"}
    assert own["score"].is_monotonic_decreasing
    assert own["rank"].tolist() == [1, 2, 3, 4, 5]
