"""The inner loops, compiled: sums over customers, over what somebody bought, and the largest cells.

Compiled by numba when first called, and kept in ``__pycache__`` (or NUMBA_CACHE_DIR). A row is
worked out by one thread in one order: one or two give the same bits. Ties go to the lower column.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
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
AHEAD = 2  # rows that are fetched before their turn
LINE = 16  # cells of 64 bytes, if of 4 each
GAPS = (301, 132, 57, 23, 10, 4, 1)  # Ciura, FCT 2001
ROOM = 2  # times what is kept: cells that are compared at once
TINY = np.float32(1e-30)


def compiled(function: Function) -> Function:
    """Compile ``function`` when it is first called; it then runs beside other threads."""
    made: Function = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return made


@intrinsic  # type: ignore[untyped-decorator]
def _fetch(_context: Any, array: Any, _place: Any) -> Any:
    """Ask for the memory of a place of ``array``, without waiting for it."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, given[0]).data
        number, address = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [address, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [address], kind)
        place = builder.bitcast(builder.gep(data, [given[1]]), address)
        builder.call(fetch, [place, number(0), number(3), number(1)])  # to read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@compiled
def add_rows(row: int, left: Cells, right: Cells, total: Values, touched: Numbers) -> int:
    """Add what a row of left right holds to ``total``; returns how many columns are ``touched``.

    ``total`` is all 0 at first; a column whose sum is 0 holds TINY. ``touched`` has room for one
    more than there are columns.
    """
    (start, inner, weight), (row_start, columns, values) = left, right
    count, last = 0, len(inner) - 1
    for entry in range(start[row], start[row + 1]):
        later = inner[min(entry + AHEAD, last)]  # rows lie anywhere: waiting took half of the time
        for cell in range(row_start[later], row_start[later + 1], LINE):
            _fetch(columns, cell)
            _fetch(values, cell)
        own, share = inner[entry], weight[entry]
        for cell in range(row_start[own], row_start[own + 1]):
            column = columns[cell]
            touched[count] = column  # stays only where it is the first: no branch to foresee
            before = total[column]
            count += before == 0
            after = before + share * values[cell]
            total[column] = after + TINY * (after == 0)  # touched stays told from untouched
    return count


@compiled
def largest(values: Floats, columns: Numbers, size: int, most: int) -> int:
    """Put the ``most`` largest of the first ``size`` cells first; returns how many there are.

    Quickselect, without a branch that depends on a cell: a heap of 50 takes four times as long.
    """
    low, high = 0, size
    while low < most < high:  # what is before low stays, what is from high on goes
        middle = (low + high) // 2
        value, column = values[middle], columns[middle]
        values[middle], columns[middle] = values[low], columns[low]
        place = low + 1
        for cell in range(place, high):
            other, number = values[cell], columns[cell]
            values[cell], columns[cell] = values[place], columns[place]
            values[place], columns[place] = other, number
            place += (other > value) | ((other == value) & (number < column))
        values[low], columns[low] = values[place - 1], columns[place - 1]
        values[place - 1], columns[place - 1] = value, column
        if place <= most:
            low = place
        else:
            high = place - 1
    return min(size, most)


@compiled
def by_column(values: Floats, columns: Numbers, size: int) -> None:
    """Put the cells in the sequence of their columns."""
    order = np.argsort(columns[:size])
    values[:size], columns[:size] = values[:size][order], columns[:size][order]


@compiled
def best_first(values: Floats, columns: Numbers, size: int) -> None:
    """Put the cells in the sequence of their values, and of equals of their columns."""
    for gap in GAPS:  # Shell's sort: no memory to ask for
        for last in range(gap, size):
            value, column, place = values[last], columns[last], last
            while place >= gap:
                other, number = values[place - gap], columns[place - gap]
                if other > value or (other == value and number < column):
                    break
                values[place], columns[place] = other, number
                place -= gap
            values[place], columns[place] = value, column


@compiled
def _strongest_rows(block: Values, kept: Kept) -> None:
    """The cells of each row of ``block`` furthest from 0, by column."""
    values, columns, sizes = kept
    most = values.shape[1]
    value, chosen = np.empty(ROOM * most), np.empty(ROOM * most, dtype=np.uint32)
    for row in range(block.shape[0]):
        size, least = 0, 0.0
        for column in range(block.shape[1]):
            strength = abs(block[row, column])
            if strength > least:
                value[size], chosen[size] = strength, column
                size += 1
                if size == len(value):
                    size = largest(value, chosen, size, most)
                    least = value[:size].min()
        size = largest(value, chosen, size, most)
        by_column(value, chosen, size)
        for place in range(size):
            columns[row, place] = chosen[place]
            values[row, place] = block[row, chosen[place]]
        sizes[row] = size


@compiled
def _strongest_cells(first: int, cells: Cells, kept: Kept) -> None:
    """The cells of rows ``first`` on of a sparse matrix furthest from 0, by column."""
    (start, column, value), (values, columns, sizes) = cells, kept
    longest = 0
    for row in range(first, first + len(sizes)):
        longest = max(longest, start[row + 1] - start[row])
    strength, chosen = np.empty(longest), np.empty(longest, dtype=np.uint32)
    for place in range(len(sizes)):
        low, size = start[first + place], 0
        for cell in range(start[first + place + 1] - low):
            strength[size], chosen[size] = abs(value[low + cell]), cell
            size += value[low + cell] != 0
        sizes[place] = size = largest(strength, chosen, size, values.shape[1])
        by_column(strength, chosen, size)
        for number in range(size):
            values[place, number] = value[low + chosen[number]]
            columns[place, number] = column[low + chosen[number]]


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
    values, columns, sizes = kept
    total, found = np.zeros(len(divide_column)), np.empty(len(divide_column))
    touched = np.empty(len(divide_column) + 1, dtype=np.uint32)
    for place in range(len(sizes)):
        row, size = first + place, 0
        for number in range(add_rows(row, left, right, total, touched)):
            column = touched[number]
            if column != row and total[column] >= least:
                divisor = divide_row[row] * divide_column[column] + shrink
                found[size], touched[size] = total[column] / divisor, column
                size += 1
            total[column] = 0
        sizes[place] = size = largest(found, touched, size, values.shape[1])
        by_column(found, touched, size)
        values[place, :size], columns[place, :size] = found[:size], touched[:size]


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


def pruned(matrix: sparse.csr_array, most: int) -> sparse.csr_array:
    """The ``most`` cells of each row furthest from 0; ``matrix`` is canonical."""
    cells = parts(matrix)

    def work(first: int, last: int) -> Kept:
        kept = _room(last - first, min(most, matrix.shape[1]))
        _strongest_cells(first, cells, kept)
        return kept

    return _stacked(in_pieces(work, matrix.shape[0]), matrix.shape[1])


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
    values: list[Values] = [np.zeros(0, np.float32)]
    columns, sizes = [np.zeros(0, np.uint32)], [np.zeros(0, np.uint32)]
    for value, column, size in pieces:
        filled = np.arange(value.shape[1]) < size[:, None]
        values.append(value[filled].astype(np.float32))
        columns.append(column[filled])
        sizes.append(size)
    start = np.concatenate([[0], np.cumsum(np.concatenate(sizes), dtype=np.int64)])
    kind = np.int32 if start[-1] < 2**31 else np.int64  # SciPy widens the columns with the starts
    cells = np.concatenate(values), np.concatenate(columns).view(np.int32), start.astype(kind)
    return sparse.csr_array(cells, shape=(len(start) - 1, width))
