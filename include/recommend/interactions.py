"""Who bought what and when: the one input of every maker, every list and every metric.

Everything is numbered: customers by ascending customer_id, products by ascending product_id, so
that equal snapshots give equal matrices, whatever the order of their rows.
"""

import json
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from include import domains, duck
from include.recommend.groups import Groups, groups
from include.recommend.purchases import arranged
from include.recommend.rhythm import Rhythm, rhythm

Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]  # of purchases, of which there are millions
Flags = NDArray[np.bool_]

LINES = """
CREATE TEMP VIEW line AS
SELECT order_id, customer_id, product_id, ordered_on
FROM read_parquet({order_line})
WHERE quantity > 0 AND is_product AND customer_id IS NOT NULL AND product_id IS NOT NULL
  AND order_id IS NOT NULL AND ordered_on < {as_of}
"""
# A shop without a product table sells what its lines name; with one, only what stands in it.
PRODUCTS = """
CREATE TEMP TABLE product AS
WITH shelf AS (SELECT * FROM read_parquet({product}) WHERE product_id IS NOT NULL)
SELECT row_number() OVER (ORDER BY product_id) - 1 AS number, product_id,
       coalesce(shelf.name, product_id) AS name,
       concat_ws(' ', shelf.name, shelf.description) AS words,
       shelf.category, shelf.subcategory, shelf.brand, shelf.price::DOUBLE AS price,
       100 * (shelf.price - shelf.cost)::DOUBLE / nullif(shelf.price, 0)::DOUBLE AS margin_percent,
       coalesce(shelf.in_stock, TRUE) AS in_stock,
       coalesce(shelf.is_product, (SELECT count(*) = 0 FROM shelf))
           AND NOT coalesce(shelf.age_restricted, FALSE)
           AND coalesce(shelf.available_on <= {as_of}, TRUE)
           AND coalesce(shelf.discontinued_on > {as_of}, TRUE) AS offered,
       sold.product_id IS NOT NULL OR coalesce(shelf.available_on < {as_of}, FALSE) AS seen
FROM shelf FULL JOIN (SELECT DISTINCT product_id FROM line) AS sold USING (product_id)
"""
# Everyone in the profile: signed up before as_of, or nobody knows when, or has ordered. With the
# flags of the profile: any record that had signed up by then says so.
CUSTOMERS = """
CREATE TEMP TABLE customer AS
WITH described AS (
    SELECT customer_id, coalesce(min(signup_on) < {as_of}, TRUE) AS known,
           bool_or(is_staff) FILTER (WHERE coalesce(signup_on < {as_of}, TRUE)) AS is_staff,
           bool_or(is_test) FILTER (WHERE coalesce(signup_on < {as_of}, TRUE)) AS is_test
    FROM read_parquet({customer})
    WHERE customer_id IS NOT NULL
    GROUP BY customer_id
), buyer AS (
    SELECT DISTINCT customer_id, TRUE AS has_ordered FROM read_parquet({order_line})
    WHERE customer_id IS NOT NULL AND ordered_on < {as_of}
)
SELECT row_number() OVER (ORDER BY customer_id) - 1 AS number, customer_id,
       coalesce(is_staff, FALSE) AS is_staff, coalesce(is_test, FALSE) AS is_test
FROM described FULL JOIN buyer USING (customer_id)
WHERE has_ordered OR known
"""
# A bulk buyer has bought a product or has not, as anybody: how much of it counts nowhere here.
FLAGS = ("is_staff", "is_test")
# Two orders of one customer are told apart by 64 bits; to number the texts costs three times more.
PURCHASES = """
SELECT customer.number::INTEGER AS customer, product.number::INTEGER AS product,
       hash(order_id)::UBIGINT AS "order", ({as_of} - ordered_on)::INTEGER AS age_days
FROM line JOIN customer USING (customer_id) JOIN product USING (product_id)
"""
CONSENT = """
SELECT customer_id FROM read_parquet({consent})
WHERE purpose = 'personalisation' AND given_on < {as_of} AND customer_id IS NOT NULL
GROUP BY customer_id
HAVING arg_max(granted, (given_at, NOT granted))
"""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Purchases before ``as_of``: one entry a customer, product and order, in that sequence.

    ``customers`` (n,) and ``products`` (m,) ascend; ``offered`` says which products may stand on a
    list (stock apart), ``seen`` which were known to be on sale before ``as_of``; ``noise`` which
    customers the domain leaves out of training, by flag; ``groups`` with whom each is counted.
    """

    as_of: date
    customers: Ints
    products: NDArray[np.object_]
    names: NDArray[np.object_]
    features: dict[str, NDArray[np.object_]]  # words, category, subcategory, brand; price (float)
    in_stock: Flags
    offered: Flags
    seen: Flags
    customer: Numbers
    product: Numbers
    basket: Numbers
    age_days: Numbers
    groups: Groups
    noise: dict[str, Flags] = field(default_factory=dict)
    kept: dict[str, sparse.csr_array] = field(default_factory=dict)  # makers' tables, once made

    @property
    def shape(self) -> tuple[int, int]:
        """Customers, products."""
        return len(self.customers), len(self.products)

    @cached_property
    def left_out(self) -> Flags:
        """(customers,) whose purchases teach nothing; they get their lists all the same."""
        flags = [*self.noise.values(), np.zeros(len(self.customers), dtype=bool)]
        return np.asarray(np.logical_or.reduce(flags), dtype=bool)

    @cached_property
    def bought(self) -> sparse.csr_array:
        """Customers x products, 1.0 where bought."""
        return self._by_customer(np.ones(len(self._first), dtype=np.float32))

    @cached_property
    def learned(self) -> sparse.csr_array:
        """``bought``, the rows of ``left_out`` empty: what tables and popularity are made of."""
        if not self.left_out.any():
            return self.bought
        taught = self._taught
        return _matrix(self.customer[taught], self.product[taught], self.shape)

    def decayed(self, half_life_days: float) -> sparse.csr_array:
        """Customers x products: sum over orders of 2^(-age / half-life)."""
        at_age = np.exp2(-np.arange(self.age_days.max(initial=0) + 1) / half_life_days)
        if not len(self._first):
            return self._by_customer(np.zeros(0))
        return self._by_customer(np.add.reduceat(at_age[self.age_days], self._first))

    @cached_property
    def _first(self) -> Ints:
        """The first entry of each pair of customer and product."""
        new = np.ones(len(self.customer), dtype=bool)
        new[1:] = (np.diff(self.customer) != 0) | (np.diff(self.product) != 0)
        return np.flatnonzero(new)

    def _by_customer(self, values: NDArray[Any]) -> sparse.csr_array:
        """Customers x products of a value a pair, in the sequence of the entries."""
        counts = np.bincount(self.customer[self._first], minlength=self.shape[0])
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return sparse.csr_array((values, self.product[self._first], start), shape=self.shape)

    @cached_property
    def baskets(self) -> sparse.csr_array:
        """Orders x products, 1.0 where the order holds the product; none of ``left_out``."""
        orders, taught = int(self.basket.max(initial=-1)) + 1, self._taught
        shape = orders, self.shape[1]
        return _matrix(self.basket[taught], self.product[taught], shape)

    @cached_property
    def buyers(self) -> Ints:
        """(products,) different customers who bought each; none of ``left_out``."""
        return np.bincount(self.learned.indices, minlength=self.shape[1]).astype(np.int64)

    @cached_property
    def rhythm(self) -> Rhythm:
        """How regularly each product is bought again; none of ``left_out``."""
        return rhythm(self.customer, self.product, self.age_days, self._taught, self.buyers)

    def recent_buyers(self, days: int) -> Ints:
        """(groups, products) different customers of each group who bought each in the last
        ``days``; none of ``left_out``."""
        recent = (self.age_days <= days) & self._taught
        customer, product = self.customer[recent], self.product[recent]
        new = np.ones(len(customer), dtype=bool)
        new[1:] = (np.diff(customer) != 0) | (np.diff(product) != 0)
        customer, product = customer[new], product[new]
        count = np.zeros((len(self.groups.kinds), self.shape[1]), dtype=np.int64)
        count[0] = np.bincount(product, minlength=self.shape[1])
        for group in self.groups.counted:
            inside = group[customer] > 0
            np.add.at(count, (group[customer[inside]], product[inside]), 1)
        return count

    @property
    def _taught(self) -> Flags:
        """(entries,) of whom the purchase is."""
        return np.asarray(~self.left_out[self.customer])


def read(folder: Path, as_of: date, *, threads: int = 2, grouped: bool = True) -> Interactions:
    """Read the purchases before ``as_of`` and the products from a snapshot folder.

    ``grouped``: with the groups of the customers; else everybody is counted with everybody.
    """
    with duck.opened(f"interactions: {folder}", threads=threads) as (db, _):
        db.execute("SET preserve_insertion_order = false")
        for statement in (LINES, PRODUCTS, CUSTOMERS):
            db.execute(_sql(statement, folder, as_of))
        lines = db.execute(_sql(PURCHASES, folder, as_of)).fetchnumpy()
        product = db.execute("SELECT * EXCLUDE (number) FROM product ORDER BY number").df()
        customers = db.execute("SELECT * FROM customer ORDER BY number").fetchnumpy()
    texts = ("words", "category", "subcategory", "brand")
    domain = domains.load()
    rules = domain.noise.left_out
    known = _ints(customers["customer_id"])
    customer, item, basket, age_days = arranged(
        **{name: np.asarray(lines.pop(name)) for name in list(lines)}, customers=len(known)
    )
    return Interactions(
        as_of=as_of,
        customers=known,
        products=product["product_id"].to_numpy(dtype=object),
        names=product["name"].to_numpy(dtype=object),
        features={name: product[name].fillna("").to_numpy(dtype=object) for name in texts}
        | {"price": product["price"].to_numpy(dtype=float)},
        in_stock=product["in_stock"].to_numpy(dtype=bool),
        offered=product["offered"].to_numpy(dtype=bool) & ~_kept_off(product, domain.lists),
        seen=product["seen"].to_numpy(dtype=bool),
        customer=customer,
        product=item,
        basket=basket,
        age_days=age_days,
        groups=groups(folder, as_of, known) if grouped else Groups.none(len(known)),
        noise={flag: customers[flag].astype(bool) for flag in FLAGS if flag in rules},
    )


def _kept_off(product: pd.DataFrame, shop: domains.Lists) -> Flags:
    """Which products the domain keeps off all lists: by a value, or since they earn too little."""
    kept_off = np.zeros(len(product), dtype=bool)
    for column, values in shop.leave_out.items():
        kept_off |= product[column].isin(values).to_numpy()
    if shop.least_margin_percent is not None:
        kept_off |= (product["margin_percent"] < shop.least_margin_percent).to_numpy(dtype=bool)
    return kept_off


def of_pairs(shape: tuple[int, int], customer: Ints, product: Ints, age_days: Ints) -> Interactions:
    """Purchases by number, of products of which nothing else is known; any day is 2000-01-01."""
    order = np.lexsort((-age_days, product, customer))
    nothing, yes = np.full(shape[1], "", dtype=object), np.ones(shape[1], dtype=bool)
    texts = dict.fromkeys(("words", "category", "subcategory", "brand"), nothing)
    return Interactions(
        as_of=date(2000, 1, 1),
        customers=np.arange(shape[0]),
        products=np.arange(shape[1]).astype(object),
        names=nothing,
        features=texts | {"price": np.full(shape[1], np.nan)},
        in_stock=yes,
        offered=yes,
        seen=yes,
        customer=customer[order].astype(np.int32),
        product=product[order].astype(np.int32),
        basket=customer[order].astype(np.int32),
        age_days=age_days[order].astype(np.int32),
        groups=Groups.none(shape[0]),
    )


def bought_between(folder: Path, data: Interactions, until: date) -> sparse.csr_array:
    """What ``data.customers`` bought in [data.as_of, until): customers x products, 1.0.

    Products that ``data`` does not know are left out of the matrix; see ``read`` for the rest.
    """
    later = read(folder, until, grouped=False)
    fresh = later.age_days <= (until - data.as_of).days
    row, known_row = _places(later.customers[later.customer[fresh]], data.customers)
    column, known_column = _places(later.products[later.product[fresh]], data.products)
    known = known_row & known_column
    return _matrix(row[known], column[known], data.shape)


def consenting(folder: Path, as_of: date, customers: Ints, *, default: str) -> Flags:
    """Which customers agreed to personalisation: the latest word before ``as_of`` holds.

    Where no source maps consent (the manifest says so) the domain's ``default`` decides for all;
    where one does, no row means no. At equal times a refusal wins.
    """
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if not manifest["consent_mapped"]:
        return np.full(len(customers), default == "allowed")
    with duck.opened(f"consent: {folder}", threads=1) as (db, _):
        granted = db.execute(_sql(CONSENT, folder, as_of)).fetchnumpy()["customer_id"]
    return np.isin(customers, _ints(granted))


def _sql(statement: str, folder: Path, as_of: date) -> str:
    """The statement with its Parquet files and day filled in."""
    quoted = {
        entity: duck.quoted(folder / f"{entity}.parquet")
        for entity in ("customer", "product", "order_line", "consent")
    }
    return statement.format(as_of=f"DATE '{as_of}'", **quoted)


def _ints(values: NDArray[np.int64]) -> Ints:
    return np.asarray(values, dtype=np.int64)


def _places(values: NDArray[np.generic], known: NDArray[np.generic]) -> tuple[Ints, Flags]:
    """Where each value stands in the ascending ``known``, and whether it does."""
    if not len(known):
        return np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return place, np.asarray(known[place] == values, dtype=bool)


def _matrix(rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int]) -> sparse.csr_array:
    """A canonical CSR of ones, however often a pair is there."""
    ones = np.ones(len(rows), dtype=np.float32)
    matrix = sparse.coo_array((ones, (rows, columns)), shape=shape).tocsr()
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix
