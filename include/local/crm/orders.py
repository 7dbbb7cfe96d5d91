"""Orders and their lines in the demo shop: tastes, staples, partners, discounts and returns."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.local.crm import people
from include.local.crm.catalogue import CATEGORIES, STAPLES, Catalogue
from include.local.crm.world import DAY_SECONDS, Array, People, Plan, Purchases, Span

CHANNELS = ("web", "app", "store")
TASTE_CONCENTRATION = 0.35
TIER_LOYALTY = 0.65
POPULARITY = 2.2
"""Products are drawn at size x uniform ** this: the higher, the fewer sell most."""
STAPLE_SHARE, REPEAT_SHARE = 0.30, 0.22
RETURN_SHARE = 0.04
ABANDONED_SHARE = 0.03
"""Orders preceded by a try that was cancelled or stayed a quote: extra rows, not purchases."""
VOIDED_SHARE = 0.001
PURCHASE, RETURN, ABANDONED = 0, 1, 2


@dataclass
class Orders:
    """Orders of a block within [first day, horizon), and their lines."""

    person: Array  # position in People
    purchase: Array  # position in Purchases
    number: Array  # of the person's orders, from 1
    kind: Array
    placed: Array  # Unix seconds
    paid: Array
    shipped: Array
    channel: Array
    quote: Array  # an abandoned order is a quote rather than cancelled
    line_order: Array  # position above
    line_no: Array
    product: Array
    quantity: Array
    discount_cents: Array
    voided: Array
    taste: Array  # (person, category): cumulated shares
    staple: Array  # person -> product


def _taste(plan: Plan, folk: People, goods: Catalogue) -> tuple[Array, Array]:
    rng, n = plan.rng(4, folk.block), len(folk)
    raw = rng.gamma(TASTE_CONCENTRATION, 1, (n, len(CATEGORIES))).astype(np.float32) + 1e-6
    taste = np.cumsum(raw / raw.sum(axis=1, keepdims=True), axis=1)
    used_up = np.array([position for position, name in enumerate(CATEGORIES) if name in STAPLES])
    best = used_up[np.argmax(raw[:, used_up], axis=1)]
    reach = goods.size[best, folk.tier]
    return taste, goods.first[best, folk.tier] + (rng.random(n) ** 1.5 * reach).astype(int)


def draw_products(
    folk: People, goods: Catalogue, taste: Array, person: Array, rng: np.random.Generator
) -> Array:
    """One product for each element of ``person``: by taste, habit and popularity."""
    chosen = rng.random(len(person), dtype=np.float32)[:, None]
    category = np.minimum((taste[person] < chosen).sum(axis=1), len(CATEGORIES) - 1)
    loyal = rng.random(len(person)) < TIER_LOYALTY
    tier = np.where(loyal, folk.tier[person], rng.integers(0, 3, len(person)))
    rank = (rng.random(len(person)) ** POPULARITY * goods.size[category, tier]).astype(int)
    return np.asarray(goods.first[category, tier] + rank)


def _repeat(product: Array, person: Array, repeats: Array, rng: np.random.Generator) -> Array:
    """Let some lines take the product of an earlier line of the same person."""
    place = np.arange(len(product))
    _, start, count = np.unique(person, return_index=True, return_counts=True)
    earlier = place - np.repeat(start, count)
    source = np.where(
        repeats & (earlier > 0),
        place - earlier + (rng.random(len(place)) * earlier).astype(int),
        place,
    )
    while not np.array_equal(source[source], source):
        source = source[source]
    return np.asarray(product[source])


def _baskets(
    folk: People,
    goods: Catalogue,
    orders: tuple[Array, Array],
    tastes: tuple[Array, Array],
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """(order, product) pairs without doubles, in order; ``orders``: person and day of each."""
    (order_person, order_day), (taste, staple) = orders, tastes
    count = np.minimum(1 + rng.poisson(np.maximum(0.05, folk.lines[order_person] - 1)), 12)
    order = np.repeat(np.arange(len(count)), count)
    person, day = order_person[order], order_day[order]
    product = draw_products(folk, goods, taste, person, rng)
    opens = np.r_[True, order[1:] != order[:-1]] if len(order) else np.array([], dtype=bool)
    stapled = opens & (rng.random(len(order)) < STAPLE_SHARE)
    product = np.where(stapled, staple[person], product)
    product = _repeat(product, person, ~stapled & (rng.random(len(order)) < REPEAT_SHARE), rng)
    product = offered(goods, product, day)
    partner = offered(goods, np.maximum(goods.partner[product], 0), day)
    joined = rng.random(len(order)) < goods.partner_share[product]  # zero without a partner
    order = np.concatenate([order, order[joined]])
    product = np.concatenate([product, partner[joined]])
    # sorted by hand: np.unique hashes, which is slow on numbers this even
    pairs = np.sort(order.astype(np.int64) * len(goods.category) + product)
    pairs = pairs[np.flatnonzero(np.diff(pairs, prepend=-1))]
    return pairs // len(goods.category), pairs % len(goods.category)


def offered(goods: Catalogue, product: Array, day: Array) -> Array:
    """The products, or their tier's best seller where they are not in the range on that day."""
    missing = (goods.available_day[product] > day) | (goods.discontinued_day[product] <= day)
    best = goods.first[goods.category[product], goods.tier[product]]
    return np.where(missing, best, product)


def second_of_day(hour: Array, rng: np.random.Generator) -> Array:
    """Seconds since midnight around a person's usual hour, between 6 and 23:30."""
    drawn = np.clip(hour + rng.normal(0, 1.3, len(hour)), 6, 23.5)
    return np.asarray((drawn * 3600 + rng.uniform(0, 60, len(hour))).astype(np.int64))


def orders(plan: Plan, folk: People, goods: Catalogue, bought: Purchases) -> Orders:
    """Every order of a block from the first day to the horizon."""
    rng = plan.rng(5, folk.block)
    day = plan.day(bought.shop_time)
    kept = np.flatnonzero((day >= 0) & (day < plan.horizon))
    person, day = bought.person[kept], day[kept]
    n = len(kept)
    _, start, count = np.unique(person, return_index=True, return_counts=True)
    tastes = _taste(plan, folk, goods)
    order, product = _baskets(folk, goods, (person, day), tastes, rng)
    quantity = 1 + rng.poisson(np.maximum(0.02, folk.quantity[person[order]] - 1))
    reduced = rng.random(len(order)) < folk.bargain_share[person[order]]
    rate = np.where(reduced, rng.choice([0.1, 0.15, 0.2], len(order)), 0)
    placed = plan.seconds(day) + second_of_day(folk.hour[person], rng)
    usual = rng.random(n) < 0.8
    made = Orders(
        person=person,
        purchase=kept,
        number=np.arange(n) - np.repeat(start, count) + 1,
        kind=np.full(n, PURCHASE),
        placed=placed,
        paid=placed + rng.integers(60, 6 * 3600, n),
        shipped=placed + rng.integers(20 * 3600, 4 * DAY_SECONDS, n),
        channel=np.where(usual, folk.channel[person], rng.integers(0, 3, n)),
        quote=np.zeros(n, dtype=bool),
        line_order=order,
        line_no=_line_numbers(order),
        product=product,
        quantity=quantity,
        discount_cents=np.round(rate * quantity * goods.price_cents[product]).astype(np.int64),
        voided=np.zeros(len(order), dtype=bool),
        taste=tastes[0],
        staple=tastes[1],
    )
    _add_failures(made, rng)
    return made


def _add_failures(made: Orders, rng: np.random.Generator) -> None:
    """Lines that are struck off, orders that are returned in part, tries that came to nothing."""
    n, order = len(made.person), made.line_order
    made.voided = (made.line_no > 1) & (rng.random(len(order)) < VOIDED_SHARE)
    returned = ~made.voided & (rng.random(len(order)) < RETURN_SHARE)
    tried = (made.line_no == 1) & (rng.random(n) < ABANDONED_SHARE)[order]
    _add(
        made, RETURN, returned, rng.integers(3, 15, n) * DAY_SECONDS + rng.integers(-99, 99, n), rng
    )
    _add(made, ABANDONED, tried, -rng.integers(1800, 5 * 3600, n), rng)


def _line_numbers(order: Array) -> Array:
    _, start, count = np.unique(order, return_index=True, return_counts=True)
    return np.asarray(np.arange(len(order)) - np.repeat(start, count) + 1)


def _add(made: Orders, kind: int, lines: Array, shift: Array, rng: np.random.Generator) -> None:
    """Append orders that repeat the chosen lines of purchases: as returns, or as failed tries."""
    chosen = np.flatnonzero(lines)
    parent, order = np.unique(made.line_order[chosen], return_inverse=True)
    placed = made.placed[parent] + shift[parent]
    before = len(made.person)
    for name, values in {
        "person": made.person[parent],
        "purchase": made.purchase[parent],
        "number": made.number[parent],
        "kind": np.full(len(parent), kind),
        "placed": placed,
        "paid": placed,
        "shipped": placed,
        "channel": made.channel[parent],
        "quote": rng.random(len(parent)) < 0.3,
        "line_order": order + before,
        "line_no": _line_numbers(order),
        "product": made.product[chosen],
        "quantity": made.quantity[chosen] * (-1 if kind == RETURN else 1),
        "discount_cents": made.discount_cents[chosen] * (-1 if kind == RETURN else 1),
        "voided": np.zeros(len(chosen), dtype=bool),
    }.items():
        setattr(made, name, np.concatenate([getattr(made, name), values]))


def amount_cents(made: Orders, goods: Catalogue) -> Array:
    """Net money of each line."""
    price = goods.price_cents[made.product]
    return np.asarray(made.quantity * price - made.discount_cents)


def stamp(seconds: Array, known: Array | None = None) -> pa.Array:
    """Unix seconds as UTC timestamps; null where not ``known``."""
    mask = None if known is None else ~known
    return pa.array(seconds.astype(np.int64), pa.timestamp("s", "UTC"), mask=mask)


def _order_no(folk: People, person: Array, number: Array, kind: Array) -> pa.Array:
    kinds = pa.array(["", "R", "X"]).take(pa.array(kind))
    owner = pc.utf8_lpad(pa.array(folk.number[person]).cast(pa.string()), 7, "0")
    count = pc.utf8_lpad(pa.array(number).cast(pa.string()), 3, "0")
    return pc.binary_join_element_wise("W", owner, "-", count, kinds, "")


WORDS = ("new", "paid", "shipped", "refunded", "cancelled", "offer")


def order_rows(plan: Plan, folk: People, goods: Catalogue, made: Orders, span: Span) -> pa.Table:
    """The rows of ``orders`` in a span."""
    shipped, paid = made.shipped < span.until, made.paid < span.until
    changed = np.where(shipped, made.shipped, np.where(paid, made.paid, made.placed))
    at = np.flatnonzero((made.placed < span.until) & (changed >= span.since))
    ordinary = np.where(shipped, 2, np.where(paid, 1, 0))[at]
    kind, person, placed = made.kind[at], made.person[at], made.placed[at]
    failed = np.where(made.quote[at], 5, 4)
    status = np.select([kind == RETURN, kind == ABANDONED], [3, failed], ordinary)
    amount = np.where(made.voided, 0, amount_cents(made, goods))
    reduced = np.where(made.voided, 0, made.discount_cents)
    return pa.table({
        "order_no": _order_no(folk, person, made.number[at], kind),
        "customer_id": people.record_at(plan, folk, person, placed),
        "ordered_at": stamp(placed),
        "status": pa.array(WORDS).take(pa.array(status)),
        "channel": pa.array(CHANNELS).take(pa.array(made.channel[at])),
        "currency": pa.repeat(pa.scalar("EUR"), len(at)),
        "total": np.round(np.bincount(made.line_order, amount, len(made.person))[at]) / 100,
        "discount": np.round(np.bincount(made.line_order, reduced, len(made.person))[at]) / 100,
        "deleted": np.zeros(len(at), dtype=bool),
        "updated_at": stamp(changed[at]),
    })  # fmt: skip


def line_rows(plan: Plan, folk: People, goods: Catalogue, made: Orders, span: Span) -> pa.Table:
    """The rows of ``order_lines`` in a span."""
    placed = made.placed[made.line_order]
    at = np.flatnonzero((placed >= span.since) & (placed < span.until))
    placed, of, product = placed[at], made.line_order[at], made.product[at]
    person = made.person[of]
    return pa.table({
        "order_no": _order_no(folk, person, made.number[of], made.kind[of]),
        "line_no": made.line_no[at],
        "customer_id": people.record_at(plan, folk, person, placed),
        "product_code": pa.array(goods.code).take(pa.array(product)),
        "ordered_at": stamp(placed),
        "quantity": made.quantity[at],
        "unit_price": goods.price_cents[product] / 100,
        "discount": made.discount_cents[at] / 100,
        "deleted": made.voided[at],
        "updated_at": stamp(placed),
    })  # fmt: skip
