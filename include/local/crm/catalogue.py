"""The catalogue of the demo shop: invented products, price tiers and what goes together."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from include.local.crm.world import FUTURE_DAYS, Array, Plan

CATEGORIES: dict[str, tuple[str, ...]] = {
    "Coffee and tea": ("Beans", "Ground coffee", "Leaf tea", "Brewing gear"),
    "Pantry": ("Pasta", "Spices", "Preserves", "Baking"),
    "Wine": ("Red", "White", "Sparkling", "Alcohol-free"),
    "Pets": ("Dog food", "Cat food", "Toys for pets", "Care for pets"),
    "Baby": ("Nappies", "Feeding", "Toys for babies", "Clothes for babies"),
    "Household": ("Cleaning", "Paper", "Laundry", "Storage"),
    "Beauty": ("Skin", "Hair", "Fragrance", "Bath"),
    "Kitchen": ("Cookware", "Knives", "Tableware", "Small appliances"),
    "Garden": ("Seeds", "Tools", "Pots", "Furniture"),
    "Stationery": ("Paper goods", "Pens", "Office", "Craft"),
    "Sports": ("Running", "Yoga", "Cycling", "Outdoor"),
    "Gifts": ("Candles", "Cards", "Hampers", "Ornaments"),
}
STAPLES = ("Coffee and tea", "Pantry", "Pets", "Baby", "Household")
"""Categories that are used up, so that the same product is bought again."""
WINE, ALCOHOL_FREE = 2, 3  # positions above: the only goods with an age limit, but for the last
CATEGORY_PRICES = (9, 5, 12, 14, 13, 7, 16, 32, 22, 6, 28, 15)  # medians, EUR
BRAND_STEMS = ("Alder", "Brisk", "Corvin", "Dalia", "Ember", "Fjord", "Glimt", "Harrow", "Isola")
WORDS = ("Amber", "Basalt", "Cedar", "Drift", "Echo", "Flint", "Grove", "Haze", "Indigo", "Juniper")
PRODUCTS = 2_000
PAIRS = 240
PAIR_SHARE = (0.25, 0.45)
"""Chance that a product's partner joins it in the basket."""
RETIRING = 200
"""One product every second day after the last day is first out of the range, then removed."""
SIZES = ("", " large", " small", " pair", " refill")


@dataclass
class Catalogue:
    """Products by position: category, then price tier, then popularity."""

    category: Array
    subcategory: Array
    brand: Array
    supplier: Array
    tier: Array
    price_cents: Array
    cost_cents: Array
    stock: Array
    available_day: Array  # day numbers
    discontinued_day: Array
    removed_day: Array
    first: Array  # (category, tier) -> position of its best seller, always available
    size: Array
    partner: Array  # position, or -1
    partner_share: Array

    @property
    def code(self) -> list[str]:
        """The shop's product codes."""
        return [f"P{position + 1:05d}" for position in range(len(self.category))]


def _layout() -> tuple[Array, Array, Array, Array]:
    per_category = np.full(len(CATEGORIES), PRODUCTS // len(CATEGORIES))
    per_category[: PRODUCTS % len(CATEGORIES)] += 1
    share = np.array([0.35, 0.4])
    sizes = (per_category[:, None] * share).astype(int)
    size = np.column_stack([sizes, per_category - sizes.sum(axis=1)])
    first = np.concatenate([[0], np.cumsum(size.ravel())[:-1]]).reshape(size.shape)
    category = np.repeat(np.arange(len(CATEGORIES)), per_category)
    tier = np.repeat(np.tile(np.arange(3), len(CATEGORIES)), size.ravel())
    return category, tier, first, size


def catalogue(plan: Plan) -> Catalogue:
    """Draw the catalogue; it does not depend on the number of customers."""
    rng, n = plan.rng(10), PRODUCTS
    category, tier, first, size = _layout()
    median = np.array(CATEGORY_PRICES)[category] * np.array([0.6, 1.0, 2.2])[tier]
    price = np.maximum(90, np.round(median * np.exp(0.3 * rng.standard_normal(n)) * 10) * 10 - 1)
    best = np.isin(np.arange(n), first.ravel())
    available = np.where(rng.random(n) < 0.1, rng.uniform(0, plan.days + 90, n), -1e6)
    retiring = rng.choice(np.flatnonzero(~best), RETIRING, replace=False)
    discontinued = np.full(n, 1e6)
    discontinued[retiring] = plan.days - 5 + np.arange(RETIRING) * FUTURE_DAYS // RETIRING
    available[best], available[retiring] = -1e6, -1e6
    partner, partner_share = np.full(n, -1), np.zeros(n)
    popular = np.flatnonzero(np.arange(n) - first[category, tier] < size[category, tier] // 3)
    paired = rng.choice(popular, 2 * PAIRS, replace=False).reshape(2, PAIRS)
    partner[paired[0]] = paired[1]
    partner_share[paired[0]] = rng.uniform(*PAIR_SHARE, PAIRS)
    return Catalogue(
        category=category,
        subcategory=rng.integers(0, 4, n),
        brand=category % 4 + rng.integers(0, 5, n),
        supplier=rng.integers(0, 20, n),
        tier=tier,
        price_cents=price.astype(np.int64),
        cost_cents=(price * rng.uniform(0.45, 0.7, n)).astype(np.int64),
        stock=np.where(rng.random(n) < 0.03, 0, rng.integers(5, 500, n)),
        available_day=np.floor(available),
        discontinued_day=discontinued,
        removed_day=np.where(discontinued < 1e6, discontinued + 6, 1e6),
        first=first,
        size=size,
        partner=partner,
        partner_share=partner_share,
    )


def rows(plan: Plan, goods: Catalogue, until_day: int) -> pa.Table:
    """The rows of ``products`` as they stand at the end of the day before ``until_day``."""
    names, subnames = list(CATEGORIES), list(CATEGORIES.values())
    shown = np.flatnonzero((goods.available_day < until_day) & (goods.removed_day >= until_day))
    code = goods.code

    def day(number: float) -> object:
        return plan.start + timedelta(days=int(number)) if -1e5 < number < until_day else None

    made = []
    for at in shown.tolist():
        category, sub = int(goods.category[at]), int(goods.subcategory[at])
        brand = f"{BRAND_STEMS[goods.brand[at]]} Demo"
        word, size = WORDS[at % 10], SIZES[at // 10 % len(SIZES)]
        name = f"{brand} {word} {subnames[category][sub].lower()}{size} {at + 1}"
        made.append({
            "code": code[at],
            "name": name,
            "description": f"Invented product of the demo shop: {name}",
            "category": names[category],
            "subcategory": subnames[category][sub],
            "brand": brand,
            "supplier": f"Demo Supply {int(goods.supplier[at]) + 1:02d}",
            "price": goods.price_cents[at] / 100,
            "cost": goods.cost_cents[at] / 100,
            "currency": "EUR",
            "stock": int(goods.stock[at]),
            "is_product": True,
            "age_restricted": category == WINE and sub != ALCOHOL_FREE,
            "available_from": day(goods.available_day[at]),
            "discontinued_on": day(goods.discontinued_day[at]),
        })  # fmt: skip
    return pa.Table.from_pylist(made)
