"""Products near each other in the whole graph of purchases, through its leading directions."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import solve_triangular

from include.models.base import single_thread
from include.recommend import kernel
from include.recommend.interactions import Interactions

Floats = NDArray[np.float32]

BEYOND = 32  # directions followed beside those wanted: they make the last ones sharp
ROUNDS = 3


def spectral(
    data: Interactions,
    *,
    neighbours: int,
    leading: int = 512,
    customer_power: float = 0.35,
    plateau: float = 2.0,
    pull: float = 0.3,
    popularity: float = 0.4,
) -> sparse.csr_array:
    """W = D^-p (c P + V f V') D^p, p ``popularity``: a filter on the spectrum of P = N'N.

    N = customers^-a bought products^-1/2 by their degrees, a ``customer_power``; V: the leading
    directions of P with eigenvalues l, over the second; the first, popularity, counts as 1. f lifts
    them all by ``pull`` and bends them by g(l) = 1/2 - sign(x) |x|^plateau / 2, x = 1 - 2l; c l is
    the straight line nearest to g where P has no leading direction. After Kim et al. (ChebyCF,
    arXiv 2505.00552, 2025) and Shen et al. (GF-CF, CIKM 2021), who have a = 1/2 and a polynomial.
    """
    rows = _normalised(data, customer_power)
    leading = min(leading, min(rows.shape) - 1)
    if leading < 1:
        return sparse.csr_array((data.shape[1], data.shape[1]))
    turned = sparse.csr_array(rows.T.tocsr())
    values, vectors = leading_directions(rows, turned, leading)
    line, lifted = filter_of(values, plateau, pull)
    degree = np.maximum(1, data.buyers).astype(np.float32) ** popularity
    right: Floats = np.ascontiguousarray((vectors * degree[:, None]).T)
    left = vectors  # in its place: it may be large
    left *= lifted
    left /= degree[:, None]
    turned = sparse.csr_array(sparse.diags_array(line / degree) @ turned)
    rows.data *= degree[rows.indices]

    def block(first: int, last: int) -> Floats:
        made: Floats = np.matmul(left[first:last], right, dtype=np.float32)
        kernel.add_pairs(turned, rows, first, made)
        made[np.arange(last - first), np.arange(first, last)] = 0
        return made

    with single_thread():  # two rows of blocks beside each other are faster than two cores at one
        return kernel.strongest(block, data.shape[1], neighbours)


def _normalised(data: Interactions, customer_power: float) -> sparse.csr_array:
    """Purchases divided by powers of the degrees of both their ends, float32."""
    rows = data.learned.astype(np.float32)
    customer = np.maximum(1, np.diff(rows.indptr)) ** -customer_power
    product = np.maximum(1, data.buyers) ** -0.5
    values = np.repeat(customer, np.diff(rows.indptr)) * product[rows.indices]
    rows.data = values.astype(np.float32)
    return rows


def leading_directions(
    rows: sparse.csr_array, turned: sparse.csr_array, count: int
) -> tuple[NDArray[np.float64], Floats]:
    """The largest eigenvalues of rows' rows, descending, and their directions as columns.

    Randomised subspace iteration (Halko, Martinsson and Tropp, SIAM Review 53(2), 2011).
    """
    width = rows.shape[1]
    start = np.random.default_rng(0).standard_normal(
        (width, min(count + BEYOND, width)), dtype=np.float32
    )
    basis = _orthogonal(start)
    for _ in range(ROUNDS):
        basis = _orthogonal(turned @ (rows @ basis))
    seen = rows @ basis
    values, mixed = np.linalg.eigh((seen.T @ seen).astype(np.float64))
    largest = np.argsort(-values)[:count]
    return values[largest], np.ascontiguousarray(basis @ mixed[:, largest].astype(np.float32))


def _orthogonal(columns: Floats) -> Floats:
    """Columns with the same span and lengths of 1, each at right angles to the others."""
    gram = (columns.T @ columns).astype(np.float64)
    gram[np.diag_indices(len(gram))] += 1e-6 * np.trace(gram) / len(gram)
    root = np.linalg.cholesky(gram).astype(np.float32)
    return np.ascontiguousarray(solve_triangular(root, columns.T, lower=True, overwrite_b=True).T)


def filter_of(values: NDArray[np.float64], plateau: float, pull: float) -> tuple[float, Floats]:
    """The factor of P, and what each leading direction has beyond it."""
    most = values[min(1, len(values) - 1)]
    level = np.minimum(1.0, values / most)

    def bent(level: NDArray[np.float64]) -> NDArray[np.float64]:
        x = 1 - 2 * level
        return np.asarray(0.5 - 0.5 * np.sign(x) * np.abs(x) ** plateau)

    rest = np.linspace(0, level[-1], 200)[1:]
    slope = float((rest * bent(rest)).sum() / (rest * rest).sum())
    lifted = bent(level) + pull - slope * values / most
    return slope / float(most), lifted.astype(np.float32)
