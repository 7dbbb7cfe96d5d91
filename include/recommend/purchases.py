"""Purchases in sequence: by customer, product and falling age, each order once a product."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.recommend.kernel import compiled, in_pieces

Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]
Orders = NDArray[np.uint64]
Flags = NDArray[np.bool_]

CUSTOMERS = 4096  # of one piece of work
GAPS = (701, 301, 132, 57, 23, 10, 4, 1)  # of a Shell sort (Ciura, FCT 2001)


@compiled
def _place(
    customer: Numbers, start: Ints, given: tuple[Any, Any, Any], into: tuple[Any, Any, Any]
) -> None:
    """Put each purchase with those of its customer."""
    (product, order, age_days), (products, orders, ages) = given, into
    free = start.copy()
    for entry in range(len(customer)):
        place = free[customer[entry]]
        free[customer[entry]] += 1
        products[place], orders[place], ages[place] = product[entry], order[entry], age_days[entry]


@compiled
def _sort(low: int, high: int, products: Numbers, orders: Orders, ages: Numbers) -> None:
    """Sort one customer's by product, falling age and order, in place."""
    for gap in GAPS:
        for entry in range(low + gap, high):
            product, order, age = products[entry], orders[entry], ages[entry]
            place = entry
            while place >= low + gap:
                other = place - gap
                if products[other] < product or (
                    products[other] == product
                    and (ages[other] > age or (ages[other] == age and orders[other] <= order))
                ):
                    break
                products[place], orders[place], ages[place] = (
                    products[other], orders[other], ages[other]
                )  # fmt: skip
                place = other
            products[place], orders[place], ages[place] = product, order, age


@compiled
def _arrange(
    first: int, last: int, start: Ints, into: tuple[Any, Any, Any], basket: Ints, once: Flags
) -> None:
    """Sort the purchases of customers, number their orders, and mark the first of each order with
    a product."""
    products, orders, ages = into
    for customer in range(first, last):
        low, high = start[customer], start[customer + 1]
        _sort(low, high, products, orders, ages)
        own = np.sort(orders[low:high])
        basket[low:high] = low + np.searchsorted(own, orders[low:high])
        same = low  # where this product begins
        for entry in range(low, high):
            if products[entry] != products[same]:
                same = entry
            for earlier in range(same, entry):
                if orders[earlier] == orders[entry]:
                    once[entry] = False


def arranged(
    customer: Numbers, product: Numbers, order: Orders, age_days: Numbers, customers: int
) -> tuple[Numbers, ...]:
    """Customer, product, basket and age in days of each order with the product, in sequence.

    Parameters
    ----------
    customer, product : numbers, one an order line, in any sequence.
    order : equal for lines of one order of a customer.
    age_days : of several for one order and product the oldest counts.
    customers : how many there are.

    Returns
    -------
    Baskets are numbered from 0 by customer and ``order``.
    """
    counts = np.bincount(customer, minlength=customers)
    start = np.concatenate([[0], np.cumsum(counts)])
    into = np.empty_like(product), np.empty_like(order), np.empty_like(age_days)
    _place(customer, start, (product, order, age_days), into)
    basket, once = np.empty(len(product), dtype=np.int64), np.ones(len(product), dtype=bool)

    def work(first: int, last: int) -> None:
        _arrange(first, last, start, into, basket, once)

    for _ in in_pieces(work, customers, size=CUSTOMERS):
        pass
    used = np.zeros(len(basket) + 1, dtype=bool)
    used[basket] = True
    number: Numbers = np.cumsum(used, dtype=np.int32) - np.int32(1)
    owner = np.repeat(np.arange(customers, dtype=np.int32), counts)
    found = owner, into[0], number[basket], into[2]
    return found if once.all() else tuple(column[once] for column in found)
