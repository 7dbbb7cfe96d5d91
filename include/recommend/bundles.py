"""What goes into one order together more often than chance: pairs for cross-sell."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse, special

from include.recommend import kernel
from include.recommend.interactions import Interactions

Flags = NDArray[np.bool_]

MOST = 10  # partners of a product
CANDIDATES = 100  # of them the best by a simpler measure are looked at
FEWEST = 2  # orders with both
ENOUGH = 3  # orders with both; fewer count only where chance makes no such pair in the whole shop
MOST_PRODUCTS = 100  # of an order: larger ones say little about pairs and cost most
UNSURE = 0.025  # that the lift is below its lower end
BUNDLE = pa.schema([
    ("product_id", pa.string()),
    ("rank", pa.int32()),
    ("with_product_id", pa.string()),
    ("orders_together", pa.int64()),
    ("confidence", pa.float64()),
    ("lift", pa.float64()),
    ("lift_low", pa.float64()),
])  # fmt: skip


def bundles(data: Interactions, allowed: Flags) -> pa.Table:
    """The best partners of each product, the surest lift first.

    Lift = orders with both / orders expected with both, had nobody cared: orders with the one *
    orders with the other / orders. Its lower end of 95 % takes the orders with both as Poisson
    (exactly: Garwood, 1936). Left out are pairs not surely above 1; pairs in two orders, unless
    chance makes less than one so striking among all pairs of the shop; partners not ``allowed``.
    """
    baskets = data.baskets
    baskets = baskets[(size := np.diff(baskets.indptr)) < MOST_PRODUCTS]
    orders = int((size > 0).sum())
    count = np.bincount(baskets.indices, minlength=data.shape[1]).astype(float)
    turned = sparse.csr_array(baskets.T.tocsr())
    each = np.maximum(1.0, count)
    pairs = kernel.pairs(turned, baskets, CANDIDATES, column=each**0.5, least=FEWEST).tocoo()
    one, other = pairs.coords
    both = np.rint(pairs.data * each[other] ** 0.5)
    expected = count[one] * count[other] / orders
    lift, low = both / expected, special.gammaincinv(both, UNSURE) / expected
    striking = special.gammainc(both, expected) * special.binom((count > 0).sum(), 2) < 1
    sure = (low > 1) & ((both >= ENOUGH) | striking)
    kept = np.flatnonzero(sure & allowed[other])
    kept = kept[np.lexsort((other[kept], -low[kept], one[kept]))]
    rank = np.arange(len(kept)) - np.searchsorted(one[kept], one[kept]) + 1
    kept, rank = kept[rank <= MOST], rank[rank <= MOST]
    columns = [
        data.products[one[kept]],
        rank.astype(np.int32),
        data.products[other[kept]],
        both[kept].astype(np.int64),
        both[kept] / count[one[kept]],
        lift[kept],
        low[kept],
    ]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, BUNDLE, strict=True)]
    return pa.Table.from_arrays(arrays, schema=BUNDLE)
