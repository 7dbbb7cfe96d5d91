"""Write the lists and the similar products of one day as Parquet files, in blocks of customers."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
from include.recommend.bundles import bundles
from include.recommend.compiled import Compiled, compile_recipe
from include.recommend.explore import Ranked, explorer, reasons
from include.recommend.interactions import Interactions, consenting, read
from include.recommend.kernel import in_pieces
from include.recommend.mixture import Mixture
from include.recommend.prospects import PROSPECT, prospects
from include.recommend.recipe import Recipe
from include.recommend.repeat import Habit, habits, repeat

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CUSTOMERS = 20_000  # written at a time
LISTS = pa.array(["explore", "repeat"])
METHODS = ["item-item", "content", "popular", "range", "repeat"]
REASONS = [
    "bought", "like_bought", "alike_customers", "popular_segment", "popular_country", "popular",
    "popular_ever", "in_range", "bought_before",
]  # fmt: skip
"""Codes; bi/recommendation.yaml has the words."""
SIMILAR = 10
RECOMMENDATION = pa.schema([
    ("customer_id", pa.int64()),
    ("list", pa.string()),
    ("rank", pa.int32()),
    ("product_id", pa.string()),
    ("score", pa.float64()),
    ("method", pa.string()),
    ("reason_code", pa.string()),
    ("because_product_id", pa.string()),
    ("orders", pa.int32()),
    ("gap_days", pa.int32()),
    ("due_on", pa.date32()),
])  # fmt: skip
TEXT = pa.dictionary(pa.int32(), pa.string())  # names by number, while rows are made
NUMBERED = pa.schema([
    (field.name, TEXT if field.type == pa.string() else field.type) for field in RECOMMENDATION
])
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
    """Write ``recommendation``, ``product_audience``, ``product_similarity`` and ``bundle``.

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
    recipe = _recipe(card, shop)
    data = read(folder, as_of, grouped=recipe.group_prior is not None)
    made = compile_recipe(recipe, data)
    agreed = consenting(folder, as_of, data.customers, default=domain.consent_default)
    lengths = (explore_length or shop.explore_length, repeat_length or shop.repeat_length)
    allowed = data.offered & data.in_stock
    mixture = Mixture.of(data.features["category"], made.table, shop)
    listed = _lists(data, made, allowed, agreed, lengths, mixture)
    rows = _write(out / "recommendation.parquet", NUMBERED, listed)
    best = prospects(data, made, allowed, agreed, shop.audience_length)
    audience = _write(out / "product_audience.parquet", PROSPECT, best)
    if recipe.maker is None:  # who buys what together is a fact, not a forecast: shown all the same
        made = compile_recipe(Recipe(maker="cosine", neighbours=shop.neighbours), data)
    alike = similar(data, made)
    pq.write_table(alike, out / "product_similarity.parquet")
    together = bundles(data, allowed)
    pq.write_table(together, out / "bundle.parquet")
    counts = {
        "recommendation": rows,
        "product_similarity": alike.num_rows,
        "bundle": together.num_rows,
        "product_audience": audience,
        "customers": int(agreed.sum()),
        "without_consent": int((~agreed).sum()),
    }
    log.info("lists as of %s by %s: %s", as_of, recipe.maker or "popularity", counts)
    return counts


def _recipe(card: dict[str, Any] | None, shop: Lists) -> Recipe:
    """The champion's recipe, or popularity."""
    settings = (card or {}).get("recipe")
    return Recipe.read(settings) if settings else Recipe.popular(shop)


def _lists(
    data: Interactions,
    made: Compiled,
    allowed: Flags,
    agreed: Flags,
    lengths: tuple[int, int],
    mixture: Mixture | None,
) -> Iterator[pa.Table]:
    """Both lists of everybody who agreed, block after block."""
    new = explorer(made, data.bought, allowed, length=lengths[0], mixture=mixture)
    ids = pa.array(data.products, pa.string())

    def block(first: int, last: int) -> pa.Table:
        ranked = new(np.flatnonzero(agreed[first:last]) + first)
        habit = habits(data, made.recipe.repeat_half_life_days, first, last)
        again, entry = repeat(made, habit, agreed, allowed, length=lengths[1])
        return _table(data, [_explored(made, ranked), _repeated(again, habit, entry)], ids)

    return in_pieces(block, len(agreed), size=CUSTOMERS)


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
    """Write table after table into one file; the number of rows."""
    rows = 0
    with pq.ParquetWriter(path, schema, store_schema=False) as writer:
        for table in tables:
            writer.write_table(table)
            rows += table.num_rows
    return rows


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one list, numbers instead of names; ``because`` is -1 where no product speaks.

    Of habits, which only rows of the repeat list have: ``orders``, ``gap_days``, ``due_in_days``
    (below 0: overdue); NaN: unknown.
    """

    ranked: Ranked
    is_repeat: bool
    method: Ints  # number in METHODS
    reason: Ints  # number in REASONS
    because: Ints
    habit: Floats  # (3, rows)


def _explored(made: Compiled, ranked: Ranked) -> Rows:
    """The places of an explore block with their reasons."""
    why, popular = reasons(made, ranked), made.popular
    group = popular.group[ranked.customer]
    kind, near = np.array(popular.kinds)[group], popular.own[group, ranked.product]
    recent, ever = made.recent[ranked.product] > 0, popular.share[0, ranked.product] > 0
    said = np.select(
        [why.by_content, why.because >= 0, near & (kind == "segment"), near & (kind == "country"),
         recent, ever],
        [REASONS.index(code) for code in ("like_bought", made.speaks, "popular_segment",
         "popular_country", "popular", "popular_ever")],
        REASONS.index("in_range"),
    )  # fmt: skip
    by_purchase = np.where(why.by_content, METHODS.index("content"), METHODS.index("item-item"))
    by_popularity = np.where(ever, METHODS.index("popular"), METHODS.index("range"))
    method = np.where(why.because >= 0, by_purchase, by_popularity)
    nothing = np.full((3, len(said)), np.nan)
    return Rows(ranked, False, method, said, why.because, nothing)


def _repeated(ranked: Ranked, habit: Habit, entry: Ints) -> Rows:
    """The places of a repeat block with the habits behind them."""
    method = np.full(len(entry), METHODS.index("repeat"))
    said = np.full(len(entry), REASONS.index("bought_before"))
    own = np.stack([habit.orders[entry], habit.gap_days[entry], habit.due_in_days[entry]])
    return Rows(ranked, True, method, said, ranked.product, own)


def _table(data: Interactions, parts: list[Rows], ids: pa.StringArray) -> pa.Table:
    """The rows of all lists by customer, list and rank."""

    def joined(of: Callable[[Rows], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([of(rows) for rows in parts], axis=-1)

    customer, rank = joined(lambda rows: rows.ranked.customer), joined(lambda r: r.ranked.rank)
    is_repeat = joined(lambda rows: np.full(len(rows.method), rows.is_repeat))
    order = np.lexsort((rank, is_repeat, customer))
    orders, gap_days, due_in_days = joined(lambda rows: rows.habit)[:, order]
    due_on = due_in_days + np.datetime64(data.as_of).astype(np.int64)
    columns = [
        pa.array(data.customers[customer[order]]),
        _named(is_repeat[order], LISTS),
        pa.array(rank[order].astype(np.int32)),
        _named(joined(lambda rows: rows.ranked.product)[order], ids),
        pa.array(joined(lambda rows: rows.ranked.score)[order]),
        _named(joined(lambda rows: rows.method)[order], pa.array(METHODS)),
        _named(joined(lambda rows: rows.reason)[order], pa.array(REASONS)),
        _named(joined(lambda rows: rows.because)[order], ids),
        _whole(orders),
        _whole(gap_days),
        _whole(due_on).cast(pa.date32()),
    ]
    return pa.Table.from_arrays(columns, schema=NUMBERED)


def _whole(values: Floats) -> pa.Int32Array:
    """Rounded; null for NaN."""
    unknown = np.isnan(values)
    return pa.array(np.rint(np.where(unknown, 0, values)).astype(np.int32), mask=unknown)


def _named(numbers: NDArray[Any], names: pa.StringArray) -> pa.DictionaryArray:
    """Names by number; none for -1."""
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers.astype(np.int32), mask=numbers < 0), names
    )


def similar(data: Interactions, made: Compiled) -> pa.Table:
    """The products that go best with each, out of those that may be recommended."""
    width = data.shape[1]
    row = np.repeat(np.arange(width), np.diff(made.table.indptr))
    column, score = made.table.indices.astype(np.int64), made.table.data
    entry = np.flatnonzero((data.offered & data.in_stock)[column] & (score > 0))
    entry = entry[np.lexsort((column[entry], -score[entry], row[entry]))]
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
    the published score, but for its rounding to 1e-7 and float32.
    """
    recipe = _recipe(card, domains.load().lists)
    data = read(folder, as_of, grouped=recipe.group_prior is not None)
    made = compile_recipe(recipe, data)
    customer = np.searchsorted(data.customers, customer_id)
    product = np.searchsorted(data.products, product_id)
    own = made.history[[customer]]
    weights = made.weighted[:, [product]].toarray().ravel()
    parts = pd.DataFrame({
        "because_product_id": [*data.products[own.indices], None],
        "because_product_name": [*data.names[own.indices], None],
        "term": [
            *(own.data * weights[own.indices]),
            made.popular_term[made.popular.group[customer], product],
        ],
    })
    shown = parts[parts["term"] != 0]
    return shown.sort_values("term", ascending=False, kind="stable", ignore_index=True)
