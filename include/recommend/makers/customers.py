"""User-based collaborative filtering: what customers like you bought."""

import numpy as np
from scipy import sparse

from include.recommend import kernel
from include.recommend.interactions import Interactions


def customers(
    data: Interactions, *, neighbours: int, alike: float = 0.5, popularity: float = 0.3
) -> sparse.csr_array:
    """W[i, j] = sum over customers v with i and j of 1 / |v|^alike, over buyers_j^popularity.

    Summed over what u bought this is the sum over all v of the asymmetric cosine
    |u and v| / (|u|^(1 - alike) |v|^alike) (Aiolli, RecSys 2013) times what v bought: the factor of
    u falls out of u's ranking, and everybody is a neighbour, with the weight of the likeness.
    """
    shared = data.learned.copy()
    bought = np.maximum(1, np.diff(shared.indptr))
    shared.data = np.repeat(bought**-alike, np.diff(shared.indptr))
    turned = sparse.csr_array(data.learned.T.tocsr())
    damped = np.maximum(1.0, data.buyers) ** popularity
    return kernel.pairs(turned, shared, neighbours, column=damped)
