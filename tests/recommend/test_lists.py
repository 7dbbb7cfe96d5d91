"""The lists: known answers, filters, fallbacks, reasons, sameness."""

from datetime import date
from hashlib import sha256

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include import contracts, recommend
from include.recommend.interactions import read
from include.recommend.makers import MAKERS
from tests.recommend.conftest import COSINE
from tests.recommend.shop import AS_OF, checkerboard, line, product
from tests.snapshots import write_snapshot

SAME = pd.testing.assert_frame_equal


def of(table, customer, name="explore"):
    chosen = table[(table["customer_id"] == customer) & (table["list"] == name)]
    return chosen.sort_values("rank")["product_id"].tolist()


@pytest.mark.parametrize("maker", MAKERS)
def test_the_product_missing_from_the_own_colour_comes_first(lists, maker):
    card = {"recipe": recommend.Recipe(maker=maker).settings()}
    table, _, _ = lists(checkerboard(), card=card)
    missing = {n: [p for p in range(n % 2, 8, 2) if not (p // 2 + n // 2) % 4] for n in range(20)}
    assert {n: of(table, n)[0] for n in range(20)} == {n: f"p{p[0]}" for n, p in missing.items()}


@pytest.mark.parametrize(("staff", "alike"), [(False, True), (True, False)])
def test_what_staff_buys_teaches_nothing_and_they_get_their_lists(lists, staff, alike):
    tables = checkerboard()
    tables["customer"] += [{"customer_id": n, "is_staff": staff} for n in range(20, 40)]
    tables["product"].append(product(8, name="uniform"))
    tables["order_line"] += [
        line(n, p, "2026-02-20", "o") for n in range(20, 40) for p in (0, 1, 8)
    ]
    table, similar, _ = lists(tables)
    after = similar[similar["product_id"] == "p0"]["similar_product_id"].tolist()
    assert ("p1" in after) is alike
    assert (of(table, 2)[0] == "p8") is alike
    assert set(of(table, 20, "repeat")) == {"p0", "p1", "p8"}
    assert len(of(table, 20)) == 5


def test_columns_and_types_are_those_of_the_contracts(lists, tmp_path):
    lists(checkerboard())
    arrow = {"bigint": "int64", "text": "string", "integer": "int32"}
    arrow |= {"double precision": "double", "date": "date32[day]"}
    for name in ("recommendation", "product_similarity", "bundle", "product_audience"):
        written = pq.read_schema(tmp_path / "out" / f"{name}.parquet")
        columns = contracts.load(f"mart.{name}").own_columns
        assert written.names == [column.name for column in columns]
        assert [str(kind) for kind in written.types] == [arrow[c.type] for c in columns]
        rows = pd.read_parquet(tmp_path / "out" / f"{name}.parquet")
        for column in columns:
            assert not (column.required and rows[column.name].isna().any()), column.name
            assert column.values is None or set(rows[column.name]) <= {*column.values}


def test_explore_is_new_and_repeat_is_known_and_both_say_why(lists):
    table, _, _ = lists({
        "product": [product(0, name="Earl Grey"), product(2, name="Assam"), product(1, price=None)],
        "order_line": [
            line(1, 0, "2025-12-07"), line(1, 0, "2025-12-28"), line(1, 0, "2026-01-20"),
            *(line(n, p, "2026-01-10") for n in (2, 3, 4) for p in (0, 2)),
            line(5, 1, "2026-02-20"),
        ],
    })  # fmt: skip
    own = table[table["customer_id"] == 1].set_index(["list", "rank"])
    assert own["product_id"].to_dict() == {
        ("explore", 1): "p2",
        ("explore", 2): "p1",
        ("repeat", 1): "p0",
    }
    assert own["reason_code"].tolist() == ["bought", "popular", "bought_before"]
    habit = own.loc[("repeat", 1)]
    assert (habit["orders"], habit["gap_days"]) == (3, 22)
    assert habit["due_on"] == date(2026, 2, 11)
    assert own.loc["explore", ["orders", "gap_days", "due_on"]].isna().all(axis=None)
    assert own["method"].tolist() == ["item-item", "popular", "repeat"]
    assert own["because_product_id"].fillna("-").tolist() == ["p0", "-", "p0"]


def test_lists_fall_back_to_recent_then_older_popularity_then_the_range(lists):
    table, _, _ = lists({
        "customer": [{"customer_id": 9}],
        "product": [product(n) for n in range(6)],
        "order_line": [
            *(line(n, 5, "2025-01-01") for n in (1, 2, 3, 4)),
            *(line(n, 4, "2025-01-01") for n in (1, 2)),
            *(line(n, 3, "2026-02-20") for n in (1, 2)),
            line(1, 2, "2026-02-20"),
        ],
    }, card=None, explore_length=6)  # fmt: skip
    cold = table[table["customer_id"] == 9]
    assert cold["product_id"].tolist() == ["p3", "p2", "p5", "p4", "p0", "p1"]
    assert cold["reason_code"].tolist() == [
        *["popular"] * 2,
        *["popular_ever"] * 2,
        *["in_range"] * 2,
    ]
    assert cold["method"].tolist() == ["popular"] * 4 + ["range"] * 2
    assert (cold["score"].diff().dropna() <= 0).all()


SHELF = {
    "gone": {"in_stock": False},
    "postage": {"is_product": False},
    "wine": {"age_restricted": True},
    "old": {"discontinued_on": "2026-03-01"},
    "soon": {"available_on": "2026-03-02"},
    "today": {"available_on": "2026-03-01"},
    "leaving": {"discontinued_on": "2026-03-02"},
}


def test_only_what_can_be_sold_stands_on_a_list_or_is_similar(lists):
    shelf = [product(2 * n, product_id=key, **c) for n, (key, c) in enumerate(SHELF.items())]
    lines = [
        {**line(n, 0, "2026-02-01"), "product_id": key}
        for n in range(4)
        for place, key in enumerate(SHELF)
        if place % 4 != n
    ]
    table, alike, _ = lists({"product": shelf, "order_line": lines}, explore_length=9)
    assert set(table["product_id"]) == {"today", "leaving"}
    assert set(alike["similar_product_id"]) == {"today", "leaving"}
    assert set(alike["product_id"]) > {"gone", "old"}


def test_without_consent_there_is_no_row_at_all(lists):
    said = {"purpose": "personalisation", "given_at": "2026-01-01"}
    tables = checkerboard() | {
        "consent": [
            {"customer_id": 1, "granted": True, **said},
            {"customer_id": 2, "granted": False, **said},
        ]
    }
    table, _, counts = lists(tables)
    assert set(table["customer_id"]) == {1}
    assert counts["without_consent"] == 19
    table, _, _ = lists(checkerboard(), consent_mapped=True)
    assert table.empty


def test_a_product_nobody_bought_enters_through_its_words(lists):
    tables = checkerboard()
    tables["product"].append(product(100, name="tea 0 again"))
    table, alike, _ = lists(tables)
    first = table[(table["product_id"] == "p100") & (table["customer_id"] % 2 == 0)]
    assert len(first) == 10
    assert set(first["method"]) == {"content"}
    assert set(first["reason_code"]) == {"like_bought"}
    assert set(first["because_product_id"]) <= {f"p{n}" for n in range(0, 8, 2)}
    assert alike.loc[alike["product_id"] == "p100", "method"].tolist()[0] == "content"
    odd = table[(table["product_id"] == "p100") & (table["customer_id"] % 2 == 1)]
    assert (odd["method"] == "range").all()


def test_terms_add_up_to_the_score_and_the_largest_is_the_reason(lists, tmp_path):
    tables = checkerboard()
    tables["order_line"] += [line(n, 1, "2026-02-20") for n in (0, 4)]
    table, _, _ = lists(tables)
    explore = table[table["list"] == "explore"]
    for row in explore.iloc[::3].itertuples():
        parts = recommend.terms(
            tmp_path / "snapshot", AS_OF, COSINE, row.customer_id, row.product_id
        )
        assert parts["term"].sum() == pytest.approx(row.score, abs=1e-6)
        if row.method in {"item-item", "content"}:
            assert parts["because_product_id"].tolist()[0] == row.because_product_id


def test_shuffled_rows_and_other_thread_counts_change_nothing(lists, tmp_path):
    tables = checkerboard(customers=60)
    first = lists(tables)
    for rows in tables.values():
        rows.sort(key=lambda row: sha256(repr(row).encode()).digest())
    second = lists(tables)
    SAME(first[0], second[0])
    SAME(first[1], second[1])
    one, two = (read(tmp_path / "snapshot", AS_OF, threads=n) for n in (1, 2))
    assert (one.customer == two.customer).all()
    assert (one.product == two.product).all()


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"customer": [{"customer_id": 1}]},
        {"product": [product(0)]},
        {"customer": [{"customer_id": 1}], "product": [product(0)]},
        {"order_line": [line(1, 0, "2026-02-01")], "product": [product(0)]},
        {"order_line": [line(1, 0, "2026-02-01", quantity=-1)], "product": [product(0)]},
        {"order_line": [line(1, 0, "2026-04-01")], "product": [product(0)]},
        checkerboard(in_stock=False),
    ],
    ids=["nothing", "customer", "product", "both", "one sale", "return", "later", "sold out"],
)
@pytest.mark.parametrize("card", [COSINE, None], ids=["cosine", "popular"])
def test_a_bare_shop_gives_short_lists_and_no_error(lists, tables, card):
    table, _, counts = lists(tables, card=card)
    assert len(table) == counts["recommendation"] <= 1


def test_a_shop_without_a_product_table_sells_what_its_lines_name(lists):
    tables = checkerboard()
    del tables["product"]
    table, _, _ = lists(tables)
    assert of(table, 0)[0] == "p0"


days = st.integers(1, 28).map(lambda day: str(date(2026, 2, day)))
purchases = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 9), days), max_size=40)
shelves = st.lists(st.sampled_from([{}, *SHELF.values()]), min_size=10, max_size=10)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(purchases=purchases, shelf=shelves, length=st.integers(1, 12))
def test_lists_are_full_as_long_as_the_shop_has_more(tmp_path_factory, purchases, shelf, length):
    folder = write_snapshot(
        tmp_path_factory.mktemp("s"),
        customer=[{"customer_id": n} for n in range(1, 7)],
        product=[product(n, **columns) for n, columns in enumerate(shelf)],
        order_line=[line(*bought) for bought in purchases],
    )
    recommend.lists(folder, AS_OF, COSINE, folder, explore_length=length)
    table = pd.read_parquet(folder / "recommendation.parquet")
    sold = {f"p{n}" for n, c in enumerate(shelf) if c in ({}, SHELF["today"], SHELF["leaving"])}
    for customer in range(1, 7):
        own = {f"p{p}" for c, p, _ in purchases if c == customer}
        explored, again = of(table, customer), of(table, customer, "repeat")
        assert len(explored) == min(length, len(sold - own))
        assert set(explored) <= sold - own
        assert len(again) == min(5, len(sold & own))
        assert set(again) <= sold & own
    ranks = table.groupby(["customer_id", "list"])["rank"]
    assert (ranks.max() == ranks.count()).all()
    assert np.isfinite(table["score"]).all()
    assert (table["score"] >= 0).all()
