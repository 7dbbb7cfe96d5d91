"""A checkerboard: even customers buy even products, odd ones odd; what fits is known by parity."""

from datetime import date

import numpy as np

from include.recommend.compiled import Popularity

AS_OF = date(2026, 3, 1)


def product(number: int, **columns) -> dict:
    """Product p<number>; category and words by its parity."""
    kind = ("tea", "nails")[number % 2]
    return {
        "product_id": f"p{number}",
        "name": f"{kind} {number}",
        "category": kind,
        "price": 10,
        **columns,
    }


def line(customer: int, number: int, day: str, order: str | None = None, **columns) -> dict:
    """One product bought; by default each day of a customer is one order."""
    return {
        "customer_id": customer,
        "order_id": order or f"{customer} {day}",
        "product_id": f"p{number}",
        "ordered_on": day,
        **columns,
    }


def checkerboard(customers: int = 20, products: int = 8, **columns) -> dict:
    """Everyone buys all but one product of the own parity, in one order long ago."""
    day = "2025-12-06"
    return {
        "customer": [{"customer_id": n} for n in range(customers)],
        "product": [product(n, **columns) for n in range(products)],
        "order_line": [
            line(n, p, day)
            for n in range(customers)
            for p in range(n % 2, products, 2)
            if (p // 2 + n // 2) % (products // 2)
        ],
    }


def popularity(share: list[list[float]], group: tuple[int, ...] = (0,)) -> Popularity:
    """Shares of products by group, and the group of each customer."""
    shares = np.array(share, dtype=float)
    kinds = ["all"] + ["segment"] * (len(shares) - 1)
    return Popularity(np.array(group, dtype=np.int32), kinds, shares, shares > 0)
