"""What the demo's people do beside buying: visits, views, carts, mails and campaign answers."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from include.local.crm import people
from include.local.crm.catalogue import Catalogue
from include.local.crm.orders import (
    CHANNELS,
    PURCHASE,
    Orders,
    draw_products,
    offered,
    second_of_day,
    stamp,
)
from include.local.crm.world import DAY_SECONDS, Array, People, Plan, Purchases, Span

EVENTS_A_PERSON = 10_000
"""Event ids are person x this + the person's own count."""
ORDER_VISIT_SHARE = 0.12
BROWSING_A_YEAR = 2.0
PAUSED_BROWSING = 0.3
"""How much of their browsing people keep in a pause."""
CAMPAIGN_EVERY_DAYS, MAILED_SHARE = 30, 0.09
OPEN_SHARE, CLICK_SHARE, ANSWER_SHARE = (0.15, 0.45), 0.25, 0.15  # opened: in a pause, else


@dataclass
class Events:
    """Visits with what was looked at, and mails; all times in Unix seconds."""

    visitor: Array  # position in People
    visited: Array
    channel: Array
    product: Array
    viewed: Array  # flags
    carted: Array
    mailed: Array  # position in People
    campaign: Array
    sent: Array
    opened: Array  # beyond any time where never
    clicked: Array
    answered: Array


NEVER = np.iinfo(np.int64).max


def _buying(plan: Plan, bought: Purchases, person: Array, seconds: Array) -> Array:
    """Whether people are between two orders without a pause at a moment."""
    day = (seconds - plan.epoch) / DAY_SECONDS
    last = bought.at(person, plan.shop_time(day))
    if len(bought.person) == 0:
        return np.zeros(len(person), dtype=bool)
    return np.where(last >= 0, ~bought.paused[last], True)


def events(plan: Plan, folk: People, goods: Catalogue, bought: Purchases, made: Orders) -> Events:
    """Draw what happens up to the horizon."""
    rng = plan.rng(8, folk.block)
    before = np.flatnonzero(
        (made.kind == PURCHASE) & (rng.random(len(made.kind)) < ORDER_VISIT_SHARE)
    )
    expected = BROWSING_A_YEAR * (plan.horizon - np.maximum(0, folk.signup_day)) / 365
    alone = np.repeat(np.arange(len(folk)), rng.poisson(np.maximum(0, expected)))
    since = np.maximum(0, folk.signup_day[alone] + 1)
    day = np.minimum(since + rng.random(len(alone)) * (plan.horizon - since), plan.horizon - 1)
    when = plan.seconds(np.floor(day)) + second_of_day(folk.hour[alone], rng)
    kept = rng.random(len(alone)) < np.where(_buying(plan, bought, alone, when), 1, PAUSED_BROWSING)
    alone, when = alone[kept], when[kept]
    visitor = np.concatenate([made.person[before], alone])
    visited = np.concatenate([made.placed[before] - rng.integers(600, 3000, len(before)), when])
    product = _looked_at(folk, goods, made, before, alone, rng)
    product = offered(goods, product, (visited - plan.epoch) // DAY_SECONDS)
    on_the_way = np.arange(len(visitor)) < len(before)
    viewed = rng.random(len(visitor)) < 0.85
    carted = viewed & (rng.random(len(visitor)) < np.where(on_the_way, 0.6, 0.15))
    return Events(
        visitor, visited, rng.integers(0, 2, len(visitor)), product, viewed, carted,
        *_mails(plan, folk, bought, rng),
    )  # fmt: skip


def _looked_at(
    folk: People, goods: Catalogue, made: Orders, before: Array, alone: Array,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """The first product of the order that follows, or one to the person's taste."""
    first = np.flatnonzero(made.line_no == 1)
    line_of = np.zeros(len(made.person), dtype=int)
    line_of[made.line_order[first]] = first
    bought = made.product[line_of[before]] if len(before) else np.array([], dtype=int)
    return np.concatenate([bought, draw_products(folk, goods, made.taste, alone, rng)])


def _mails(
    plan: Plan, folk: People, bought: Purchases, rng: np.random.Generator
) -> tuple[Array, ...]:
    campaigns = plan.horizon // CAMPAIGN_EVERY_DAYS + 1
    picked = rng.random((len(folk), campaigns)) < MAILED_SHARE
    person, campaign = np.nonzero(picked)
    day = campaign * CAMPAIGN_EVERY_DAYS + 9
    known = (folk.signup_day[person] < day) & (day < plan.horizon)
    person, campaign, day = person[known], campaign[known], day[known]
    n = len(person)
    sent = plan.seconds(day) + 8 * 3600 + rng.integers(0, 3600, n)
    buying = _buying(plan, bought, person, sent).astype(int)
    opens = rng.random(n) < np.array(OPEN_SHARE)[buying]
    opened = sent + (rng.exponential(14 * 3600, n) + 60).astype(np.int64)
    clicks = opens & (rng.random(n) < CLICK_SHARE)
    answers = opens & (rng.random(n) < ANSWER_SHARE)
    return (
        person,
        campaign,
        sent,
        np.where(opens, opened, NEVER),
        np.where(clicks, opened + rng.integers(5, 600, n), NEVER),
        np.where(answers, opened + rng.integers(60, 3 * DAY_SECONDS, n), NEVER),
    )


def _ids(folk: People, person: Array) -> Array:
    order = np.argsort(person, kind="stable")
    _, start, count = np.unique(person[order], return_index=True, return_counts=True)
    numbers = np.empty(len(person), dtype=np.int64)
    numbers[order] = np.arange(len(person)) - np.repeat(start, count) + 1
    return np.asarray(folk.number[person] * EVENTS_A_PERSON + numbers)


def rows(
    plan: Plan, folk: People, goods: Catalogue, made: Events, span: Span
) -> dict[str, pa.Table]:
    """The event tables in a span."""
    codes = pa.array(goods.code)
    customer = people.record_at(plan, folk, made.visitor, made.visited)
    number = _ids(folk, made.visitor)
    tables = {}
    for name, column, chosen, delay in (
        ("visits", "visited_at", np.ones(len(number), dtype=bool), 0),
        ("views", "viewed_at", made.viewed, 60),
        ("carts", "added_at", made.carted, 240),
    ):
        at = np.flatnonzero(
            chosen & (made.visited + delay < span.until) & (made.visited + delay >= span.since)
        )
        when = stamp(made.visited[at] + delay)
        columns = {"id": number[at], "customer_id": customer[at], column: when}
        if name != "visits":
            columns["product_code"] = codes.take(pa.array(made.product[at]))
        if name == "carts":
            columns["amount"] = goods.price_cents[made.product[at]] / 100
        channel = pa.array(CHANNELS).take(pa.array(made.channel[at]))
        tables[name] = pa.table({**columns, "channel": channel, "updated_at": when})
    return {**tables, **_mail_rows(plan, folk, made, span)}


def _mail_rows(plan: Plan, folk: People, made: Events, span: Span) -> dict[str, pa.Table]:
    number = _ids(folk, made.mailed)
    customer = people.record_at(plan, folk, made.mailed, made.sent)
    names = pa.array([f"demo-{n + 1:03d}" for n in range(plan.horizon // CAMPAIGN_EVERY_DAYS + 1)])
    opened, clicked = made.opened < span.until, made.clicked < span.until
    changed = np.where(clicked, made.clicked, np.where(opened, made.opened, made.sent))
    at = np.flatnonzero((made.sent < span.until) & (changed >= span.since))
    answered = people.span_of(made.answered, span)
    came = stamp(made.answered[answered])
    return {
        "mails": pa.table({
            "id": number[at],
            "customer_id": customer[at],
            "campaign": names.take(pa.array(made.campaign[at])),
            "sent_at": stamp(made.sent[at]),
            "opened_at": stamp(made.opened[at], opened[at]),
            "clicked_at": stamp(made.clicked[at], clicked[at]),
            "updated_at": stamp(changed[at]),
        }),
        "campaign_answers": pa.table({
            "id": number[answered],
            "customer_id": customer[answered],
            "campaign": names.take(pa.array(made.campaign[answered])),
            "answered_at": came,
            "answer": pa.array(["yes", "no", "coupon used"]).take(pa.array(number[answered] % 3)),
            "updated_at": came,
        }),
    }  # fmt: skip
