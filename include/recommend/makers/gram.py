"""X'Y in dense blocks of rows, so that products x products is never held whole."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.recommend.strongest import block_rows


def gram_blocks(
    left: sparse.csr_array, right: sparse.csr_array | None = None
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """(first row, rows of left' right), the diagonal zero. ``right`` None: left'left."""
    right = left if right is None else right
    turned = left.T.tocsr()
    items = turned.shape[0]
    for start in range(0, items, block_rows(items)):
        block = (turned[start : start + block_rows(items)] @ right).toarray()
        here = np.arange(len(block))
        block[here, start + here] = 0.0
        yield start, block
