"""Write the lists and the similar products of one day as Parquet files, in blocks of customers."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from include import domains
from include.domains import Lists
from include.recommend.compiled import Compiled, compile_recipe
from include.recommend.explore import Ranked, explore, pairs, reasons
from include.recommend.interactions import Interactions, consenting, read
from include.recommend.recipe import Recipe
from include.recommend.repeat import Habit, habits, repeat
from include.recommend.strongest import levels

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CUSTOMERS = 20_000  # written at a time
SIMILAR = 10
RECOMMENDATION = pa.schema([
    ("customer_id", pa.int64()),
    ("list", pa.string()),
    ("rank", pa.int32()),
    ("product_id", pa.string()),
    ("product_name", pa.string()),
    ("score", pa.float64()),
    ("method", pa.string()),
    ("reason", pa.string()),
    ("because_product_id", pa.string()),
])  # fmt: skip
SIMILARITY = pa.schema([
    ("product_id", pa.string()),
    ("rank", pa.int32()),
    ("similar_product_id", pa.string()),
    ("score", pa.float64()),
    ("method", pa.string()),
])  # fmt: skip


def lists(
    folder: Path,
    as_of: date,
    card: dict[str, Any] | None,
    out: Path,
    *,
    explore_length: int | None = None,
    repeat_length: int | None = None,
) -> dict[str, Any]:
    """Write ``recommendation.parquet`` and ``product_similarity.parquet`` into ``out``.

    Parameters
    ----------
    folder : a complete snapshot.
    as_of : nothing dated on or after this day is seen.
    card : the champion's model card; None (or without a recipe): explore by popularity alone.
    out : an existing folder.
    explore_length, repeat_length : places a list; default: the domain's.

    Returns
    -------
    Counts: rows of each file by its name, customers who agreed, customers who did not.
    """
    domain = domains.load()
    shop = domain.lists
    data = read(folder, as_of)
    recipe = _recipe(card, shop)
    made = compile_recipe(recipe, data)
    agreed = consenting(folder, as_of, data.customers, default=domain.consent_default)
    lengths = (explore_length or shop.explore_length, repeat_length or shop.repeat_length)
    rows = _write_lists(data, made, agreed, lengths, out / "recommendation.parquet")
    if recipe.maker is None:  # who buys what together is a fact, not a forecast: shown all the same
        made = compile_recipe(Recipe(maker="cosine", neighbours=shop.neighbours), data)
    alike = similar(data, made)
    pq.write_table(alike, out / "product_similarity.parquet")
    counts = {
        "recommendation": rows,
        "product_similarity": alike.num_rows,
        "customers": int(agreed.sum()),
        "without_consent": int((~agreed).sum()),
    }
    log.info("lists as of %s by %s: %s", as_of, recipe.maker or "popularity", counts)
    return counts


def _recipe(card: dict[str, Any] | None, shop: Lists) -> Recipe:
    """The champion's recipe, or popularity."""
    settings = (card or {}).get("recipe")
    return Recipe.read(settings) if settings else Recipe.popular(shop)


def _write_lists(
    data: Interactions, made: Compiled, agreed: Flags, lengths: tuple[int, int], path: Path
) -> int:
    """Write block after block; the number of rows."""
    allowed = data.offered & data.in_stock
    explore_length, repeat_length = lengths
    rows = 0
    with pq.ParquetWriter(path, RECOMMENDATION) as writer:
        for first in range(0, len(agreed), CUSTOMERS):
            last = min(first + CUSTOMERS, len(agreed))
            chosen = np.flatnonzero(agreed[first:last]) + first
            blocks = explore(made, data.bought, chosen, allowed, length=explore_length)
            parts = [_explore_rows(data, made, ranked) for ranked in blocks]
            habit = habits(data, made.recipe.repeat_half_life_days, first, last)
            ranked, entry = repeat(made, habit, agreed, allowed, length=repeat_length)
            parts.append(_repeat_rows(data, ranked, habit, entry))
            block = pa.concat_tables(parts).sort_by([
                ("customer_id", "ascending"),
                ("list", "ascending"),
                ("rank", "ascending"),
            ])
            writer.write_table(block)
            rows += block.num_rows
    return rows


def _explore_rows(data: Interactions, made: Compiled, ranked: Ranked) -> pa.Table:
    """The places of an explore block with their reasons in words."""
    why = reasons(made, ranked)
    recent, ever = made.recent[ranked.product] > 0, data.buyers[ranked.product] > 0
    words = np.select(
        [recent, ever],
        [f"popular in the last {made.recipe.popularity_days} days", "popular over all time"],
        "also in the range",
    ).astype(object)
    method = np.where(ever, "popular", "range").astype(object)
    bought = why.because >= 0
    known, place = np.unique(why.because[bought], return_inverse=True)
    because = np.array([f"because you bought {name}" for name in data.names[known]], dtype=object)
    like = np.array([f"like {name}, which you bought" for name in data.names[known]], dtype=object)
    content = why.by_content[bought]
    if len(known):
        words[bought] = np.where(content, like[place], because[place])
    method[bought] = np.where(content, "content", "item-item")
    source = np.full(len(bought), None, dtype=object)
    source[bought] = data.products[why.because[bought]]
    return _rows(data, ranked, "explore", method, words, source)


def _repeat_rows(data: Interactions, ranked: Ranked, habit: Habit, entry: Ints) -> pa.Table:
    """The places of a repeat block with their reasons in words."""
    words = [
        "bought once" if orders == 1
        else f"bought {orders} times on one day" if np.isnan(gap)
        else f"bought {orders} times, usually every {max(1, round(gap))} days"
        for orders, gap in zip(habit.orders[entry].tolist(), habit.gap_days[entry].tolist(),
                               strict=True)
    ]  # fmt: skip
    method = np.full(len(entry), "repeat", dtype=object)
    reason = np.array(words, dtype=object)
    return _rows(data, ranked, "repeat", method, reason, data.products[ranked.product])


def _rows(
    data: Interactions,
    ranked: Ranked,
    name: str,
    method: NDArray[np.object_],
    reason: NDArray[np.object_],
    because: NDArray[np.object_],
) -> pa.Table:
    columns = [
        data.customers[ranked.customer],
        np.full(len(ranked.rank), name, dtype=object),
        ranked.rank.astype(np.int32),
        data.products[ranked.product],
        data.names[ranked.product],
        ranked.score,
        method,
        reason,
        because,
    ]
    arrays = [
        pa.array(column, type=field.type)
        for column, field in zip(columns, RECOMMENDATION, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=RECOMMENDATION)


def similar(data: Interactions, made: Compiled) -> pa.Table:
    """The products that go best with each, out of those that may be recommended."""
    width = data.shape[1]
    row = np.repeat(np.arange(width), np.diff(made.table.indptr))
    column, level = made.table.indices.astype(np.int64), levels(made.table.data)
    entry = np.flatnonzero((data.offered & data.in_stock)[column] & (level > 0))
    entry = entry[np.lexsort((column[entry], -level[entry], row[entry]))]
    rank = np.arange(len(entry)) - np.searchsorted(row[entry], row[entry]) + 1
    entry, rank = entry[rank <= SIMILAR], rank[rank <= SIMILAR]
    columns = [
        data.products[row[entry]],
        rank.astype(np.int32),
        data.products[column[entry]],
        made.table.data[entry],
        np.where(made.by_content[entry], "content", "item-item").astype(object),
    ]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, SIMILARITY, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SIMILARITY)


def terms(
    folder: Path, as_of: date, card: dict[str, Any] | None, customer_id: int, product_id: str
) -> pd.DataFrame:
    """What the explore score of one product for one customer is made of, largest first.

    Columns: because_product_id (None: popularity), because_product_name, term. The terms add up to
    the published score, but for its rounding to 1e-12.
    """
    shop = domains.load().lists
    data = read(folder, as_of)
    made = compile_recipe(_recipe(card, shop), data)
    customer = np.searchsorted(data.customers, [customer_id])
    product = np.searchsorted(data.products, [product_id])
    ranked = Ranked(customer, np.ones(1, dtype=np.int64), product, np.zeros(1))
    _, entry = pairs(made.history, ranked)
    bought = made.history.indices[entry].astype(np.int64)
    weight, _ = made.edges(bought, np.repeat(product, len(bought)))
    parts = pd.DataFrame({
        "because_product_id": [*data.products[bought], None],
        "because_product_name": [*data.names[bought], None],
        "term": [
            *(made.history.data[entry] * weight * made.pull[product[0]]),
            made.popular_term[product[0]],
        ],
    })
    shown = parts[parts["term"] != 0]
    return shown.sort_values("term", ascending=False, kind="stable", ignore_index=True)
