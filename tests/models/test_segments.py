from typing import get_args

import numpy as np
import pandas as pd
import pytest

from include import domains, profile
from include.errors import InputError
from include.models import clusters, groupings, naming, registry, segments, value
from include.models.assign import described
from include.models.base import features
from include.models.clusters import Point
from tests.models.conftest import AS_OF, orders
from tests.models.test_train import THIN, order
from tests.snapshots import write_snapshot

COLUMNS = ["order_count", "revenue", "avg_order_value", "recency_days"]


def blobs(seed, shift=0.0, rows=120):
    """Three groups of customers far apart, as raw values; the group is the row's label."""
    draw = np.random.default_rng(seed)
    middles = np.array([[30, 900, 30, 5], [3, 900, 300, 40], [2, 40, 20, 200]]) * (1 + shift)
    parts = [draw.normal(middle, middle * 0.1, (rows, 4)) for middle in middles]
    return pd.DataFrame(np.vstack(parts), columns=COLUMNS), np.repeat([0, 1, 2], rows)


def drawn(values, most=8):
    points = clusters.scaled(values)
    return clusters.curve(points, groupings.makers("kmeans", points, most, seed=0), seed=0)


def test_the_planted_number_of_segments_is_chosen():
    values, _ = blobs(1)
    choice = clusters.choose(drawn(values), 2)
    assert (choice.k, choice.reason) == (3, "the elbow, stable at 1.00")


def test_the_reason_tells_of_a_number_that_would_be_clearer():
    curve = [Point(1, 100, None, None), Point(2, 60, 0.7, 0.9), Point(3, 10, 0.5, 0.95)]
    curve += [Point(4, 8, 0.3, 0.5)]
    said = "the elbow, stable at 0.95; 2 would be clearest, 0.70 against 0.50"
    assert clusters.choose(curve, 2).reason == said


def test_an_elbow_that_is_not_stable_gives_way_to_its_neighbour():
    curve = [
        Point(1, 100, None, None),
        Point(2, 40, 0.5, 0.9),
        Point(3, 10, 0.5, 0.4),
        Point(4, 8, 0.5, 0.85),
        Point(5, 6, 0.5, 0.9),
    ]
    assert clusters.choose(curve, 2).k == 2
    assert clusters.choose(curve, 3).k == 4


def test_names_tell_what_sets_a_segment_apart():
    centres = np.array([[1.5, 0.9, 0.1, -0.8], [-0.7, -0.2, 0.0, 0.1], [0.1, 0.1, 0.0, 0.2]])
    assert naming.names(centres, COLUMNS, ["champions", "lost", "at_risk"]) == [
        "very frequent, high spend, recent",
        "few orders",
        "mostly at risk",
    ]


def test_segments_that_nothing_sets_apart_are_told_apart_by_their_next_clearest_word():
    centres = np.array([[0.3, 0.3, 0.1, -0.2], [0.3, 0.3, -0.1, -0.2], [0.1, 0.2, 0.0, 0.1]])
    assert naming.names(centres, COLUMNS, ["at_risk", "at_risk", "loyal"]) == [
        "mostly at risk, large orders",
        "mostly at risk, small orders",
        "mostly loyal",
    ]


def test_names_are_different_even_where_segments_are_alike():
    centres = np.array([[1.0, 0.9, 0.8, 0.3], [1.0, 0.9, 0.8, -0.3], [1.0, 0.9, 0.8, -0.3]])
    assert naming.names(centres, COLUMNS, ["loyal"] * 3) == [
        "frequent, high spend, large orders, long absent",
        "frequent, high spend, large orders, recent",
        "frequent, high spend, large orders, recent (2)",
    ]


def test_segments_are_trained_once_and_everyone_is_in_one(warehouse, habits, tmp_path):
    made = segments.train(warehouse, habits, as_of=AS_OF, run_id="r1", segments=3)
    assert made["decision"] == "promoted", made
    assert segments.train(warehouse, habits, as_of=AS_OF, run_id="r2", segments=3) == made
    assert warehouse.execute("SELECT k FROM bi.segment_curve WHERE chosen").fetchall() == [(3,)]
    segments.assign(warehouse, habits, AS_OF, tmp_path)
    members = pd.read_parquet(tmp_path / "customer_segment.parquet")
    table = pd.read_parquet(tmp_path / "segment.parquet").set_index("segment_key")
    assert members["customer_id"].tolist() == sorted(profile.frame(habits, AS_OF).index)
    assert (members["segment_key"].value_counts().sort_index() == table["customers"]).all()
    assert table["customer_share"].sum() == pytest.approx(1)
    assert table["revenue_share"].sum() == pytest.approx(1)
    assert set(table.index) <= {"s1", "s2", "s3", "prospect"}
    assert table["name"].is_unique
    assert table[["rule", "distinguishing_features", "suggested_action"]].notna().all(axis=None)


def test_noise_makes_no_segment_but_is_in_one(warehouse, tmp_path):
    lines = orders(1, 300, lambda customer: 15 if customer % 3 == 0 else 120)
    customers = [{"customer_id": n, "is_staff": n <= 4, "is_test": n == 9} for n in range(1, 10)]
    folder = write_snapshot(tmp_path, order_line=lines, customer=customers)
    segments.train(warehouse, folder, as_of=AS_OF, run_id="r", segments=3)
    [(card,)] = warehouse.execute("SELECT card FROM ops.model_version").fetchall()
    buyers = profile.frame(folder, AS_OF)["recency_days"].count()
    assert (card["left_out"], card["made_of"]["rows"]) == (
        {"is_staff": 4, "is_test": 1},
        buyers - 5,
    )
    assert card["known"]["sources_since"] == {"shop": "2025-12-01T00:00:00+00:00"}
    segments.assign(warehouse, folder, AS_OF, tmp_path)
    members = pd.read_parquet(tmp_path / "customer_segment.parquet").set_index("customer_id")
    assert members.loc[[1, 2, 3, 4, 9], "segment_key"].isin(["s1", "s2", "s3"]).all()


def test_the_keys_of_a_later_training_are_those_of_the_champion(warehouse, habits):
    for days in (14, 7, 0):
        day = AS_OF - pd.Timedelta(days=days)
        segments.train(warehouse, habits, as_of=day, run_id="r", segments=3)
    keys = warehouse.execute("SELECT card -> 'keys' FROM ops.model_version").fetchall()
    assert [sorted(found) for (found,) in keys] == [["s1", "s2", "s3"]] * 3


def test_a_past_day_trained_after_a_later_one_finds_its_keys(warehouse, habits):
    for days in (0, 14, 7):
        day = AS_OF - pd.Timedelta(days=days)
        segments.train(warehouse, habits, as_of=day, run_id="r", segments=3)
    keys = warehouse.execute("SELECT card -> 'keys' FROM ops.model_version").fetchall()
    assert [sorted(found) for (found,) in keys] == [["s1", "s2", "s3"]] * 3


def test_a_customer_with_returns_only_has_no_purchase_on_record(warehouse, tmp_path):
    lines = [order(1, "2026-05-01"), order(2, "2026-05-01", -1)]
    customers = [{"customer_id": 3, "signup_on": "2025-01-01"}]
    folder = write_snapshot(tmp_path, order_line=lines, customer=customers)
    segments.assign(warehouse, folder, AS_OF, tmp_path)
    table = pd.read_parquet(tmp_path / "segment.parquet").set_index("segment_key")
    assert table.loc["prospect", ["name", "rule", "customers"]].tolist() == [
        "no purchase on record",
        "Known, but without an order that was bought and not only returned.",
        2,
    ]


def test_a_share_of_no_revenue_has_no_minus_sign():
    members = pd.DataFrame({"segment_key": ["a", "b"], "rfm_segment": ["loyal", "lost"]})
    profiles = pd.DataFrame(0.0, index=members.index, columns=features())
    words = {"a": ("a", "."), "b": ("b", ".")}
    for nothing in (-0.0, -1e-12):
        table = described(members, profiles.assign(revenue=[10.0, nothing]), words)
        assert [str(share) for share in table["revenue_share"]] == ["1.0", "0.0"]


@pytest.mark.parametrize("tables", THIN.values(), ids=THIN)
def test_thin_data_gives_rfm_groups_and_says_what_is_missing(warehouse, tmp_path, tables):
    folder = write_snapshot(tmp_path, **tables)
    made = segments.train(warehouse, folder, as_of=AS_OF, run_id="r")
    assert made["decision"] == "not_ready"
    assert "customers: " in made["reason"]
    found = segments.assign(warehouse, folder, AS_OF, tmp_path)
    assert found["model_version"] is None
    members = pd.read_parquet(tmp_path / "customer_segment.parquet")
    assert (members["segment_key"] == members["rfm_segment"]).all()
    assert len(members) == value.compute(warehouse, folder, AS_OF, tmp_path) == found["customers"]


@pytest.mark.parametrize("number", [0, 1, 21])
def test_a_number_out_of_bounds_is_refused(warehouse, tmp_path, number):
    with pytest.raises(InputError, match="give 2 to 20, or none for automatic"):
        segments.train(warehouse, tmp_path, as_of=AS_OF, run_id="r", segments=number)


def test_of_customers_who_buy_alike_no_segments_are_made(warehouse, noise):
    """Orders and revenue say the same there: that is nothing in common between features."""
    made = segments.train(warehouse, noise, as_of=AS_OF, run_id="r")
    assert made["decision"] == "rejected", made
    assert "silhouette" in made["reason"] or "stability" in made["reason"]


def test_segments_are_made_of_the_features_that_the_domain_file_names(
    warehouse, habits, monkeypatch
):
    domain = domains.load()
    named = domain.segments.model_copy(update={"features": ("order_count", "gap_days_median")})
    monkeypatch.setattr(domains, "load", lambda: domain.model_copy(update={"segments": named}))
    segments.train(warehouse, habits, as_of=AS_OF, run_id="r")
    card = registry.champion(warehouse, "segment").card
    assert card["made_of"]["features"] == ["order_count", "gap_days_median"]


def test_every_feature_that_a_domain_may_name_has_words():
    assert set(naming.WORDS) == set(get_args(domains.SegmentFeature))
    assert set(naming.WORDS) <= set(features())
