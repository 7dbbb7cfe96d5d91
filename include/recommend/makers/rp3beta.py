"""A random walk product, customer, product, with popular ends damped."""

import numpy as np
from scipy import sparse

from include.recommend import kernel
from include.recommend.interactions import Interactions


def rp3beta(
    data: Interactions, *, neighbours: int, alpha: float = 1.0, beta: float = 0.4
) -> sparse.csr_array:
    """W[i, j] = sum over u of (1 / d_i)^alpha (1 / d_u)^alpha / d_j^beta, rows summing to 1.

    d are degrees: buyers of a product, products of a customer. The factor of d_i falls out when the
    row is brought to 1. After Paudel et al., ACM TiiS 7(1), 2017.
    """
    walk = data.learned.copy()
    degree = np.diff(walk.indptr)
    walk.data = np.repeat(np.maximum(1.0, degree) ** -alpha, degree)
    turned = sparse.csr_array(data.learned.T.tocsr())
    damped = np.maximum(1.0, data.buyers) ** beta
    table = kernel.pairs(turned, walk, neighbours, column=damped)
    total = np.maximum(table.sum(axis=1), np.finfo(float).tiny)
    table.data /= np.repeat(total, np.diff(table.indptr))
    return table
