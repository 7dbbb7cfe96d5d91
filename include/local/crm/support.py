"""The demo's support desk: tickets, feedback with text, and what account holders agreed to."""

from dataclasses import dataclass

import numpy as np

from include.local.crm import people
from include.local.crm.catalogue import Catalogue
from include.local.crm.events import NEVER
from include.local.crm.orders import PURCHASE, RETURN, Orders
from include.local.crm.people import Records
from include.local.crm.world import DAY_SECONDS, Array, People, Plan, Span

TICKET_SHARE, RETURN_TICKET_SHARE, FEEDBACK_SHARE = 0.045, 0.35, 0.066
"""Of orders by account holders; discontent multiplies the first by exp(-content / 2)."""
MARKETING_SHARE, PERSONALISATION_SHARE = 0.86, 0.82
TOPICS = ("delivery", "product", "invoice", "complaint", "return")
PRIORITIES = ("low", "normal", "high")
SUBJECTS = {
    "delivery": ("Where is my parcel?", "Parcel late again", "Wrong address on the parcel"),
    "product": ("How do I use this?", "It stopped working", "Is there a spare part?"),
    "invoice": ("I need an invoice", "Charged twice?", "Wrong VAT number"),
    "complaint": ("Disappointed", "Nobody answered me", "This was not what I ordered"),
    "return": ("Return", "Please take this back", "Wrong size"),
}
BODIES = (
    "Hello, it is about {product}. Could you look into it? Thanks.",
    "I ordered {product} and have a question. Please answer soon.",
    "This is the second time I write about {product}.",
    "Hi! {product} again. What can we do?",
)
COMMENTS = {
    1: ("{product} broke after a day.", "Never again. {product} came late and damaged."),
    2: ("{product} is worse than I hoped.", "Slow delivery, {product} is so-so."),
    3: ("{product} is okay.", "Does what it says, nothing more."),
    4: ("Good: {product} works well.", "Happy with {product}, delivery could be faster."),
    5: ("I love {product}!", "Excellent quality, fast delivery, will buy {product} again."),
}
Row = dict[str, object]


def _text(seconds: Array) -> list[str]:
    """UTC text as SQLite keeps it."""
    dates = np.datetime_as_string(seconds.astype("datetime64[s]"))
    return [date.replace("T", " ") for date in dates.tolist()]


def _first_products(made: Orders) -> Array:
    first = np.zeros(len(made.person), dtype=int)
    opening = made.line_no == 1
    first[made.line_order[opening]] = made.product[opening]
    return first


def _optional(seconds: Array, until: int) -> list[str | None]:
    known = seconds < until
    texts = _text(np.where(known, seconds, 0))
    return [text if there else None for text, there in zip(texts, known, strict=True)]


@dataclass
class _Tickets:
    """One drawn ticket for each order, whether it is written or not; times in Unix seconds."""

    asked: Array
    opened: Array
    replied: Array
    closed: Array
    topic: Array
    priority: Array
    subject: Array
    body: Array
    reopened: Array
    removed: Array


def _tickets(plan: Plan, folk: People, made: Orders) -> _Tickets:
    rng, n = plan.rng(9, folk.block), len(made.person)
    discontent = np.exp(-folk.content[made.person] / 2) / 1.13
    share = np.where(made.kind == RETURN, RETURN_TICKET_SHARE, TICKET_SHARE * discontent)
    share[~np.isin(made.kind, (PURCHASE, RETURN))] = 0
    opened = made.placed + rng.integers(0, 6, n) * DAY_SECONDS + rng.integers(600, 9000, n)
    replied = opened + (rng.exponential(7 * 3600, n) + 300).astype(np.int64)
    solved = replied + (rng.exponential(30 * 3600, n)).astype(np.int64)
    other = rng.choice(4, n, p=[0.4, 0.3, 0.15, 0.15])
    return _Tickets(
        asked=rng.random(n) < share,
        opened=opened,
        replied=replied,
        closed=np.where(rng.random(n) < 0.95, solved, NEVER),
        topic=np.where(made.kind == RETURN, 4, other),
        priority=rng.choice(3, n, p=[0.2, 0.6, 0.2]),
        subject=rng.integers(0, 3, n),
        body=rng.integers(0, 4, n),
        reopened=rng.random(n) < 0.08,
        removed=rng.random(n) < 0.004,
    )


def ticket_rows(
    plan: Plan, folk: People, goods: Catalogue, made: Orders, known: Records, span: Span
) -> list[Row]:
    """The rows of ``tickets`` in a span."""
    all_, until = _tickets(plan, folk, made), span.until
    latest = np.where(all_.replied < until, all_.replied, all_.opened)
    latest = np.where(all_.closed < until, all_.closed, latest)
    there = all_.asked & (known.own_account_created[made.person] < all_.opened)
    at = np.flatnonzero(there & (all_.opened < until) & (latest >= span.since))
    item = np.array(goods.code, dtype=object)[_first_products(made)]
    account = people.account_no(folk.number[made.person[at]])
    columns = zip(
        *(at.tolist(), account, _text(all_.opened[at])),
        *(_optional(all_.replied[at], until), _optional(all_.closed[at], until)),
        _text(latest[at]),
        strict=True,
    )
    return [
        {
            "ticket_no": f"T{folk.number[made.person[i]]:07d}-{made.number[i]:03d}"
            f"{'R' if made.kind[i] == RETURN else ''}",
            "account_no": holder_no,
            "topic": TOPICS[all_.topic[i]],
            "priority": PRIORITIES[all_.priority[i]],
            "state": "solved" if done else "pending" if first_reply else "new",
            "opened": when,
            "first_reply": first_reply,
            "closed": done,
            "reopen_count": int(all_.reopened[i]) if done else 0,
            "product_code": item[i],
            "subject": SUBJECTS[TOPICS[all_.topic[i]]][all_.subject[i]],
            "body": BODIES[all_.body[i]].format(product=item[i]),
            "removed": int(all_.removed[i]) if done else 0,
            "changed": changed,
        }
        for i, holder_no, when, first_reply, done, changed in columns
    ]


def feedback_rows(
    plan: Plan, folk: People, goods: Catalogue, made: Orders, known: Records, span: Span
) -> list[Row]:
    """``feedback`` in a span."""
    rng, n = plan.rng(11, folk.block), len(made.person)
    gives = (rng.random(n) < FEEDBACK_SHARE) & (made.kind == PURCHASE)
    given = made.placed + rng.integers(2, 12, n) * DAY_SECONDS + rng.integers(-9000, 9000, n)
    felt = 4.1 + 0.7 * folk.content[made.person] + rng.normal(0, 0.9, n)
    stars = np.clip(np.round(felt), 1, 5).astype(int)
    wordless, words, via = rng.random(n) < 0.15, rng.integers(0, 2, n), rng.integers(0, 3, n)
    holder = known.own_account_created[made.person] < given
    at = np.flatnonzero(gives & holder & (given >= span.since) & (given < span.until))
    product, codes = _first_products(made)[at].tolist(), goods.code
    account = people.account_no(folk.number[made.person[at]])
    when = _text(given[at])
    return [
        {
            "feedback_no": int(folk.number[made.person[i]] * 1000 + made.number[i]),
            "account_no": account[row],
            "product_code": codes[product[row]],
            "stars": int(stars[i]),
            "comment": None
            if wordless[i]
            else COMMENTS[int(stars[i])][words[i]].format(product=codes[product[row]]),
            "via": ("mail", "web", "app")[via[i]],
            "given": when[row],
            "changed": when[row],
        }
        for row, i in enumerate(at.tolist())
    ]


def consent_rows(plan: Plan, folk: People, known: Records, span: Span) -> list[Row]:
    """``consents`` asked for when an account was opened in a span."""
    rng, n = plan.rng(12, folk.block), len(known.account)
    answers = {
        "newsletter": rng.random(n) < MARKETING_SHARE,
        "profiling": rng.random(n) < PERSONALISATION_SHARE,
    }
    there = people.span_of(known.account_created, span)
    account = people.account_no(known.account.number[there])
    when = _text(known.account_created[there])
    return [
        {
            "account_no": account[row],
            "purpose": purpose,
            "granted": int(granted[i]),
            "given": when[row],
            "changed": when[row],
        }
        for purpose, granted in answers.items()
        for row, i in enumerate(there.tolist())
    ]
