"""Cross-sell: products that stand in the same orders more often than their popularity explains."""

import numpy as np
from scipy import sparse

from include.recommend import kernel
from include.recommend.interactions import Interactions


def copurchase(
    data: Interactions, *, neighbours: int, beta: float = 0.5, support: float = 2.0
) -> sparse.csr_array:
    """W[i, j] = confidence / orders_j^beta = orders with both / (orders_i orders_j^beta).

    ``beta`` 1 ranks by lift, 0 by confidence; pairs in fewer than ``support`` orders are left out.
    Orders of 100 products and more say little about pairs and cost most: they are left out too.
    """
    baskets = data.baskets
    orders = np.maximum(1.0, np.bincount(baskets.indices, minlength=data.shape[1]))
    baskets = baskets[np.diff(baskets.indptr) < 100]
    turned = sparse.csr_array(baskets.T.tocsr())
    return kernel.pairs(turned, baskets, neighbours, row=orders, column=orders**beta, least=support)
