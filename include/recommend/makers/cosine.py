"""Item-based collaborative filtering: products with the same buyers."""

import numpy as np
from scipy import sparse

from include.recommend import kernel
from include.recommend.interactions import Interactions


def cosine(
    data: Interactions, *, neighbours: int, shrink: float = 10.0, balance: float = 0.5
) -> sparse.csr_array:
    """W[i, j] = both / (buyers_i^balance * buyers_j^(1 - balance) + shrink).

    ``balance`` .5 is the cosine; below, popular j are damped more (the asymmetric cosine of Aiolli,
    RecSys 2013). ``shrink`` damps pairs that few customers vouch for.
    """
    buyers = np.maximum(1.0, data.buyers)
    turned = sparse.csr_array(data.learned.T.tocsr())
    row, column = buyers**balance, buyers ** (1 - balance)
    return kernel.pairs(turned, data.learned, neighbours, row=row, column=column, shrink=shrink)
