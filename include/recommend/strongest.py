"""The largest cells of each row, exactly, whatever the number of threads or the order of input.

A cell's level (its score as a whole number of 1e-12) and its column become one whole number, so
that no two cells of a row are equal and ties go to the lower column.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.errors import InputError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCALE = 1e12  # scores are kept to 1e-12: below 10, that holds for 400,000 columns
NEVER = -1  # the level of a cell that may not be chosen
CELLS = 500_000  # of one dense block: what stays near the processor is four times as fast


def levels(scores: Floats) -> Ints:
    """Scores, none negative, as whole numbers."""
    level = scores * SCALE
    return np.rint(level, out=level).astype(np.int64)


def strongest(level: Ints, most: int) -> tuple[Ints, Ints]:
    """(columns, levels), each (rows, min(most, columns)), best first; overwrites ``level``."""
    width = level.shape[1]
    most = min(most, width)
    if not most:
        empty = np.zeros((len(level), 0), dtype=np.int64)
        return empty, empty
    if int(level.max(initial=0)) * width >= 2**62:
        raise InputError(
            f"recommend: a score of {level.max() / SCALE:g} with {width} products cannot be ranked "
            "exactly; scale the maker's table down"
        )
    level *= width
    level += np.arange(width - 1, -1, -1)
    level.partition(width - most, axis=1)
    best = np.sort(level[:, width - most :], axis=1)[:, ::-1]
    return width - 1 - best % width, best // width


def block_rows(width: int) -> int:
    """How many rows of ``width`` columns make one block."""
    return max(1, CELLS // max(1, width))


def pruned(blocks: Iterable[Floats], width: int, most: int) -> sparse.csr_array:
    """Stack dense blocks of rows into a CSR of the ``most`` largest positive cells of each row."""
    counts, columns, values = [np.zeros(1, dtype=np.int64)], [], []
    for block in blocks:
        column, level = strongest(levels(block), most)
        order = np.argsort(column, axis=1)
        column = np.take_along_axis(column, order, axis=1)
        kept = np.take_along_axis(level, order, axis=1) > 0
        counts.append(kept.sum(axis=1))
        columns.append(column[kept])
        values.append(np.take_along_axis(block, column, axis=1)[kept])
    start = np.cumsum(np.concatenate(counts))
    column = np.concatenate([np.zeros(0, dtype=np.int64), *columns])
    value = np.concatenate([np.zeros(0), *values])
    return sparse.csr_array((value, column, start), shape=(len(start) - 1, width))
