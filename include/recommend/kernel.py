"""The inner loops, compiled: sums over customers, over what somebody bought, and the largest cells.

Compiled by numba when first called, and kept in ``__pycache__`` (or NUMBA_CACHE_DIR). A row is
worked out by one thread in one order: one or two give the same bits. Ties go to the lower column.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Numbers = NDArray[np.uint32]  # unsigned: no negative index to look for
Floats = NDArray[np.float64]
Values = NDArray[Any]  # float32 or float64
Cells = tuple[NDArray[np.int64], Numbers, Values]  # of a CSR: starts of the rows, columns, values
Kept = tuple[Floats, Numbers, Numbers]  # of each row: values, their columns, how many are filled
Function = TypeVar("Function", bound=Callable[..., Any])

THREADS = 2
ROWS = 256  # of one piece of work


def compiled(function: Function) -> Function:
    """Compile ``function`` when it is first called; it then runs beside other threads."""
    made: Function = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return made


@compiled
def keep(value: float, column: int, values: Floats, columns: Numbers, size: int) -> int:
    """Offer a cell to a heap of the best so far, the worst on top; returns its new size."""
    most = len(values)
    if size < most:
        place = size
        while place:
            above = (place - 1) // 2
            if values[above] < value or (values[above] == value and columns[above] > column):
                break
            values[place], columns[place] = values[above], columns[above]
            place = above
        values[place], columns[place] = value, column
        return size + 1
    if value > values[0] or (value == values[0] and column < columns[0]):
        _sink(value, column, values, columns, size)
    return size


@compiled
def _sink(value: float, column: int, values: Floats, columns: Numbers, size: int) -> None:
    """Put a cell on top of the heap in place of what is there, and let it sink to its place."""
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        other = below + 1
        if other < size and (
            values[other] < values[below]
            or (values[other] == values[below] and columns[other] > columns[below])
        ):
            below = other
        if values[below] > value or (values[below] == value and columns[below] < column):
            break
        values[place], columns[place] = values[below], columns[below]
        place = below
    values[place], columns[place] = value, column


@compiled
def best_first(values: Floats, columns: Numbers, size: int) -> None:
    """Turn a heap into a sequence."""
    for last in range(size - 1, 0, -1):
        value, column = values[last], columns[last]
        values[last], columns[last] = values[0], columns[0]
        _sink(value, column, values, columns, last)


@compiled
def _by_column(values: Floats, columns: Numbers, size: int) -> None:
    """Put the cells in the sequence of their columns."""
    order = np.argsort(columns[:size])
    values[:size], columns[:size] = values[:size][order], columns[:size][order]


@compiled
def _strongest_rows(block: Values, kept: Kept) -> None:
    """The cells of each row of ``block`` furthest from 0, by column."""
    values, columns, sizes = kept
    for row in range(block.shape[0]):
        size = 0
        for column in range(block.shape[1]):
            value = abs(block[row, column])
            if value > 0 and (size < values.shape[1] or value > values[row, 0]):
                size = keep(value, column, values[row], columns[row], size)
        _by_column(values[row], columns[row], size)
        for place in range(size):
            values[row, place] = block[row, columns[row, place]]
        sizes[row] = size


@compiled
def _pair_rows(
    first: int,
    left: Cells,
    right: Cells,
    divide_row: Floats,
    divide_column: Floats,
    shrink: float,
    least: float,
    kept: Kept,
) -> None:
    """Rows ``first`` on of left' right, divided, and of each the largest cells by column."""
    (start, customer, weight), (row_start, product, other) = left, right
    values, columns, sizes = kept
    total = np.zeros(len(divide_column))
    touched = np.empty(len(divide_column) + 1, dtype=np.uint32)
    for place in range(len(sizes)):
        row, count = first + place, 0
        for entry in range(start[row], start[row + 1]):
            own, share = customer[entry], weight[entry]
            for cell in range(row_start[own], row_start[own + 1]):
                column = product[cell]
                touched[count] = column  # stays only where it is the first: no branch to foresee
                count += total[column] == 0
                total[column] += share * other[cell]
        size = 0
        for number in range(count):
            column = touched[number]
            if column != row and total[column] >= least:
                value = total[column] / (divide_row[row] * divide_column[column] + shrink)
                size = keep(value, column, values[place], columns[place], size)
            total[column] = 0
        _by_column(values[place], columns[place], size)
        sizes[place] = size


@compiled
def _add_pairs(first: int, left: Cells, right: Cells, block: Values) -> None:
    """Add rows ``first`` on of left' right to a dense block."""
    (start, customer, weight), (row_start, product, other) = left, right
    for place in range(len(block)):
        for entry in range(start[first + place], start[first + place + 1]):
            own, share = customer[entry], weight[entry]
            for cell in range(row_start[own], row_start[own + 1]):
                block[place, product[cell]] += share * other[cell]


def add_pairs(turned: sparse.csr_array, right: sparse.csr_array, first: int, block: Values) -> None:
    """Add rows ``first`` on of ``turned @ right`` to ``block``, in place."""
    _add_pairs(first, parts(turned), parts(right), block)


def parts(matrix: sparse.csr_array) -> Cells:
    """Starts, columns and values of a CSR, in the types that loops are compiled for."""
    columns = matrix.indices.astype(np.int32, copy=False).view(np.uint32)
    return matrix.indptr.astype(np.int64), columns, matrix.data


def pairs(
    turned: sparse.csr_array,
    right: sparse.csr_array,
    most: int,
    *,
    row: Floats | None = None,
    column: Floats | None = None,
    shrink: float = 0.0,
    least: float = 0.0,
) -> sparse.csr_array:
    """The ``most`` largest cells of each row of s / (row column + shrink), s = turned @ right.

    Cells with s below ``least`` and the diagonal are left out. Nothing of ``turned`` and ``right``
    is negative; both are (products, customers) and its converse, or orders in their place.
    """
    width = turned.shape[0]
    ones = np.ones(width)
    left, given = parts(turned), parts(right)
    over = ones if row is None else row, ones if column is None else column

    def work(first: int, last: int) -> Kept:
        kept = _room(last - first, min(most, width))
        _pair_rows(first, left, given, *over, shrink, least, kept)
        return kept

    return _stacked(in_pieces(work, width), width)


def strongest(
    blocks: Callable[[int, int], Values], width: int, most: int, *, threads: int = THREADS
) -> sparse.csr_array:
    """The ``most`` cells of each row furthest from 0; ``blocks(first, last)`` makes dense rows.

    What a purchase speaks against is kept with its sign: without it EASE finds 4 % less.
    """

    def work(first: int, last: int) -> Kept:
        kept = _room(last - first, min(most, width))
        _strongest_rows(blocks(first, last), kept)
        return kept

    return _stacked(in_pieces(work, width, threads=threads), width)


def _room(rows: int, most: int) -> Kept:
    shape = rows, most
    return np.zeros(shape), np.zeros(shape, dtype=np.uint32), np.zeros(rows, dtype=np.uint32)


Piece = TypeVar("Piece")


def in_pieces(
    work: Callable[[int, int], Piece], count: int, *, size: int = ROWS, threads: int = THREADS
) -> Iterator[Piece]:
    """Yield work(first, last) for all of ``count``, in sequence; a few pieces are ahead."""
    firsts = iter(range(0, count, size))
    with ThreadPoolExecutor(threads) as pool:
        ahead = [pool.submit(work, first, min(first + size, count))
                 for _, first in zip(range(2 * threads), firsts, strict=False)]  # fmt: skip
        while ahead:
            yield ahead.pop(0).result()
            for first in firsts:
                ahead.append(pool.submit(work, first, min(first + size, count)))
                break


def _stacked(pieces: Iterator[Kept], width: int) -> sparse.csr_array:
    """A CSR of rows that came in pieces."""
    values, columns, sizes = [np.zeros(0)], [np.zeros(0, np.uint32)], [np.zeros(0, np.uint32)]
    for value, column, size in pieces:
        filled = np.arange(value.shape[1]) < size[:, None]
        values.append(value[filled])
        columns.append(column[filled])
        sizes.append(size)
    start = np.concatenate([[0], np.cumsum(np.concatenate(sizes), dtype=np.int64)])
    cells = np.concatenate(values), np.concatenate(columns), start
    return sparse.csr_array(cells, shape=(len(start) - 1, width))
