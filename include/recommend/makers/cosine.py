"""Item-based collaborative filtering: products with the same buyers."""

import numpy as np
from scipy import sparse

from include.recommend.interactions import Interactions
from include.recommend.makers.gram import gram_blocks
from include.recommend.strongest import pruned


def cosine(
    data: Interactions, *, neighbours: int, shrink: float = 10.0, balance: float = 0.5
) -> sparse.csr_array:
    """W[i, j] = both / (buyers_i^balance * buyers_j^(1 - balance) + shrink).

    ``balance`` .5 is the cosine; below, popular j are damped more (the asymmetric cosine of Aiolli,
    RecSys 2013). ``shrink`` damps pairs that few customers vouch for.
    """
    buyers = np.maximum(1.0, data.buyers)
    row, column = buyers**balance, buyers ** (1 - balance)
    blocks = (
        both / (row[start : start + len(both), None] * column + shrink)
        for start, both in gram_blocks(data.learned)
    )
    return pruned(blocks, len(buyers), neighbours)
