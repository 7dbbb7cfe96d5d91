"""What goes into one order together more often than chance: pairs for cross-sell."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from include.recommend import kernel
from include.recommend.interactions import Interactions

Flags = NDArray[np.bool_]

MOST = 10  # partners of a product
CANDIDATES = 100  # of them the best by a simpler measure are looked at
FEWEST = 3  # orders with both
MOST_PRODUCTS = 100  # of an order: larger ones say little about pairs and cost most
SURE = 1.96  # standard errors on either side of 95 %
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

    Lift = orders with both * orders / (orders with the one * orders with the other). Its lower end
    of 95 % takes the orders with both as Poisson: lift * exp(-1.96 / sqrt(orders with both)). Pairs
    in fewer than ``FEWEST`` orders, or not surely above 1, are left out; so are partners that are
    not ``allowed``.
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
    lift = both * orders / (count[one] * count[other])
    low = lift * np.exp(-SURE / np.sqrt(both))
    kept = np.flatnonzero((low > 1) & allowed[other])
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
