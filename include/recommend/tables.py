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
from include.recommend.explore import Mixture, Ranked, explorer, reasons
from include.recommend.interactions import Interactions, consenting, read
from include.recommend.kernel import in_pieces
from include.recommend.prospects import PROSPECT, prospects
from include.recommend.recipe import Recipe
from include.recommend.repeat import Habit, habits, repeat

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CUSTOMERS = 20_000  # written at a time
LISTS = pa.array(["explore", "repeat"])
METHODS = ["item-item", "content", "popular", "range", "repeat"]
GENERAL = ("popular in the last {days} days", "popular over all time", "also in the range")
MOST_DAYS = 1_000_000  # beyond every gap
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
    data = read(folder, as_of)
    recipe = _recipe(card, shop)
    made = compile_recipe(recipe, data)
    agreed = consenting(folder, as_of, data.customers, default=domain.consent_default)
    lengths = (explore_length or shop.explore_length, repeat_length or shop.repeat_length)
    allowed = data.offered & data.in_stock
    mixture = Mixture.of(data.features["category"], shop.most_per_category)
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
    names = Names.of(data, made)

    def block(first: int, last: int) -> pa.Table:
        ranked = new(np.flatnonzero(agreed[first:last]) + first)
        habit = habits(data, made.recipe.repeat_half_life_days, first, last)
        again, entry = repeat(made, habit, agreed, allowed, length=lengths[1])
        listed, own = _repeated(again, habit, entry, len(names.reasons))
        return _table(data, [_explored(made, ranked), listed], names, own)

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
class Names:
    """What the rows of the lists name by number."""

    products: pa.StringArray
    names: pa.StringArray
    reasons: pa.StringArray  # a product each: because you bought it; like it; then GENERAL

    @classmethod
    def of(cls, data: Interactions, made: Compiled) -> "Names":
        """Of all products, each once."""
        reasons = [f"because you bought {name}" for name in data.names]
        reasons += [f"like {name}, which you bought" for name in data.names]
        reasons += [text.format(days=made.recipe.popularity_days) for text in GENERAL]
        return cls(*(pa.array(each, pa.string()) for each in (data.products, data.names, reasons)))


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one list, numbers instead of names; ``because`` is -1 where no product speaks."""

    ranked: Ranked
    is_repeat: Flags
    method: Ints  # number in METHODS
    reason: Ints  # number in Names.reasons, or beyond them in ``own_reasons``
    because: Ints


def _explored(made: Compiled, ranked: Ranked) -> Rows:
    """The places of an explore block with their reasons."""
    why, products = reasons(made, ranked), len(made.popularity)
    recent, ever = made.recent[ranked.product] > 0, made.popularity[ranked.product] > 0
    bought = why.because >= 0
    general = 2 * products + np.select([recent, ever], [0, 1], 2)
    own = why.because + np.where(why.by_content, products, 0)
    method = np.where(bought, np.where(why.by_content, 1, 0), np.where(ever, 2, 3))
    is_repeat = np.zeros(len(bought), dtype=bool)
    return Rows(ranked, is_repeat, method, np.where(bought, own, general), why.because)


def _repeated(ranked: Ranked, habit: Habit, entry: Ints, first: int) -> tuple[Rows, list[str]]:
    """The places of a repeat block, and its reasons, numbered from ``first`` on."""
    gap = np.nan_to_num(habit.gap_days[entry])  # 0: bought on one day only
    days = np.where(gap > 0, np.maximum(1, np.round(gap)), 0).astype(np.int64)
    pairs = habit.orders[entry] * MOST_DAYS + days
    known, place = np.unique(pairs, return_inverse=True)
    texts = [_habit(*divmod(pair, MOST_DAYS)) for pair in known.tolist()]
    method = np.full(len(entry), METHODS.index("repeat"))
    is_repeat = np.ones(len(entry), dtype=bool)
    return Rows(ranked, is_repeat, method, first + place, ranked.product), texts


def _habit(orders: int, gap_days: int) -> str:
    """A habit in words."""
    if orders == 1:
        return "bought once"
    if not gap_days:
        return f"bought {orders} times on one day"
    return f"bought {orders} times, usually every {gap_days} days"


def _table(data: Interactions, parts: list[Rows], names: Names, own: list[str]) -> pa.Table:
    """The rows of all lists by customer, list and rank, with their names."""

    def joined(of: Callable[[Rows], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([of(rows) for rows in parts])

    customer, rank = joined(lambda rows: rows.ranked.customer), joined(lambda r: r.ranked.rank)
    is_repeat = joined(lambda rows: rows.is_repeat)
    order = np.lexsort((rank, is_repeat, customer))
    product = joined(lambda rows: rows.ranked.product)[order]
    reason_names = pa.concat_arrays([names.reasons, pa.array(own, pa.string())])
    columns = [
        pa.array(data.customers[customer[order]]),
        _named(is_repeat[order].astype(np.int32), LISTS),
        pa.array(rank[order].astype(np.int32)),
        _named(product, names.products),
        _named(product, names.names),
        pa.array(joined(lambda rows: rows.ranked.score)[order]),
        _named(joined(lambda rows: rows.method)[order], pa.array(METHODS)),
        _named(joined(lambda rows: rows.reason)[order], reason_names),
        _named(joined(lambda rows: rows.because)[order], names.products),
    ]
    return pa.Table.from_arrays(columns, schema=NUMBERED)


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
    shop = domains.load().lists
    data = read(folder, as_of)
    made = compile_recipe(_recipe(card, shop), data)
    customer = np.searchsorted(data.customers, customer_id)
    product = np.searchsorted(data.products, product_id)
    own = made.history[[customer]]
    weights = made.weighted[:, [product]].toarray().ravel()
    parts = pd.DataFrame({
        "because_product_id": [*data.products[own.indices], None],
        "because_product_name": [*data.names[own.indices], None],
        "term": [*(own.data * weights[own.indices]), made.popular_term[product]],
    })
    shown = parts[parts["term"] != 0]
    return shown.sort_values("term", ascending=False, kind="stable", ignore_index=True)
