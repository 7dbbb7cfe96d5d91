"""The linear model that foretells each product from all others at once."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from include.recommend import kernel
from include.recommend.interactions import Interactions

MOST_PRODUCTS = 10_000  # time grows with their cube, memory with their square: 400 MB


def ease(data: Interactions, *, neighbours: int, ridge: float = 300.0) -> sparse.csr_array:
    """W[i, j] = -P[i, j] / P[j, j], P = (R'R + ridge I)^-1 (Steck, WWW 2019).

    Of the products bought by most, ``MOST_PRODUCTS`` at most; the others have no entry.
    """
    width = data.shape[1]
    most_bought = np.argsort(-data.buyers, kind="stable")[:MOST_PRODUCTS]
    chosen = np.sort(most_bought[data.buyers[most_bought] > 0])
    if not len(chosen):
        return sparse.csr_array((width, width))
    inverse = _inverse(sparse.csr_array(data.learned[:, chosen]), ridge)
    inverse /= -np.diag(inverse)
    inverse[np.diag_indices(len(chosen))] = 0

    def block(first: int, last: int) -> NDArray[np.float32]:
        return inverse[first:last]

    small = kernel.strongest(block, len(chosen), neighbours).tocoo()
    row, column = small.coords
    cells = small.data, (chosen[row], chosen[column])
    return sparse.csr_array(sparse.coo_array(cells, shape=(width, width)).tocsr())


def _inverse(bought: sparse.csr_array, ridge: float) -> NDArray[np.float32]:
    """(R'R + ridge I)^-1, in one piece of memory."""
    gram = np.zeros((bought.shape[1],) * 2, dtype=np.float32, order="F")
    turned = sparse.csr_array(bought.T.tocsr())
    kernel.add_pairs(turned, bought, 0, gram)
    gram[np.diag_indices(len(gram))] += ridge
    root, _ = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = lapack.spotri(root, lower=1, overwrite_c=1)
    whole: NDArray[np.float32] = np.tril(inverse) + np.tril(inverse, -1).T
    return whole
