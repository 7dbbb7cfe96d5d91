"""The other way round: for each product the customers to whom it fits best and who lack it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from include.recommend.compiled import Compiled
from include.recommend.interactions import Interactions
from include.recommend.kernel import (
    TINY,
    Cells,
    Kept,
    add_rows,
    best_first,
    compiled,
    in_pieces,
    largest,
    parts,
)

Flags = NDArray[np.bool_]

PRODUCTS = 512  # of one piece of work
PROSPECT = pa.schema([
    ("product_id", pa.string()),
    ("rank", pa.int32()),
    ("customer_id", pa.int64()),
    ("score", pa.float64()),
])  # fmt: skip


@compiled
def _best(first: int, speaks: Cells, buyers: Cells, barred: Flags, kept: Kept) -> None:
    """The customers with the largest sums for each product from ``first`` on, who lack it."""
    row_start, buyer, _ = buyers
    values, customers, sizes = kept
    total = np.zeros(len(barred), dtype=np.float32)
    touched, found = np.empty(len(barred) + 1, dtype=np.uint32), np.empty(len(barred))
    for place in range(len(sizes)):
        size, product = 0, first + place
        count = add_rows(product, speaks, buyers, total, touched)
        for cell in range(row_start[product], row_start[product + 1]):
            total[buyer[cell]] = -1
        for number in range(count):
            customer = touched[number]
            if total[customer] > TINY and not barred[customer]:
                found[size], touched[size] = total[customer], customer
                size += 1
            total[customer] = 0
        for cell in range(row_start[product], row_start[product + 1]):
            total[buyer[cell]] = 0
        size = largest(found, touched, size, values.shape[1])
        best_first(found, touched, size)
        values[place, :size], customers[place, :size] = found[:size], touched[:size]
        sizes[place] = size


def prospects(
    data: Interactions, made: Compiled, allowed: Flags, agreed: Flags, length: int
) -> Iterator[pa.Table]:
    """Yield the best customers of each product that may be recommended, in pieces.

    The score is the customer's explore score of the product without popularity, which is the same
    for all; who has bought it, has not ``agreed``, or is left out of training, is not there.
    """
    speaks = parts(sparse.csr_array(made.offers(allowed).T.tocsr()))
    turned = sparse.csr_array(made.history.T.tocsr())
    buyers = parts(turned.astype(np.float32))
    barred = ~agreed | data.left_out

    def work(first: int, last: int) -> pa.Table:
        shape = last - first, min(length, len(barred))
        values, customers = np.zeros(shape), np.zeros(shape, dtype=np.uint32)
        sizes = np.zeros(last - first, dtype=np.uint32)
        if shape[1]:
            _best(first, speaks, buyers, barred, (values, customers, sizes))
        row, place = np.nonzero(np.arange(shape[1]) < sizes[:, None])
        columns = [
            pa.array(data.products[first + row], pa.string()),
            pa.array((place + 1).astype(np.int32)),
            pa.array(data.customers[customers[row, place]]),
            pa.array(values[row, place]),
        ]
        return pa.Table.from_arrays(columns, schema=PROSPECT)

    return in_pieces(work, data.shape[1], size=PRODUCTS)
