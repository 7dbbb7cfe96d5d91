"""The real shop: an item-item recipe is ahead of what is obvious, and its lists are full."""

from datetime import date

import pandas as pd

from bench.recommend import REAL, snapshot
from include import recommend

# What the 30 days before the judged ones chose; bench/recommend_real.py chooses anew.
CHOSEN = recommend.Recipe(
    maker="cosine",
    parameters={"shrink": 10.0, "balance": 0.2},
    content_weight=1.0,
    history_half_life_days=365.0,
    lift=5.0,
    repeat_lift=5.0,
)


def test_the_lists_of_the_real_shop_beat_popularity_and_own_frequency(shared_data, tmp_path):
    file = shared_data("online_retail/online_retail.parquet")
    folder = snapshot(tmp_path / "real", REAL, file=file)
    as_of = date(2011, 9, 10)
    figures = recommend.evaluate(folder, as_of, recipes={"chosen": CHOSEN})
    value = {(f.method, f.slice, f.metric): f.value for f in figures}
    for metric in ("recall@10", "ndcg@10"):
        ours, popular = (value[m, "explore", metric] for m in ("chosen", "recent_popularity"))
        assert ours > 1.5 * popular
        ours, own = (value[m, "repeat", metric] for m in ("chosen", "personal_frequency"))
        assert ours > 1.05 * own
    counts = recommend.lists(folder, as_of, {"recipe": CHOSEN.settings()}, tmp_path)
    table = pd.read_parquet(tmp_path / "recommendation.parquet")
    explore = table[table["list"] == "explore"]
    assert len(explore) == 5 * counts["customers"]
    assert set(explore["method"]) >= {"item-item", "content", "popular"}
