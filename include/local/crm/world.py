"""The people behind the demo CRM: who they are like, when they buy and when they pause.

Everything is drawn block by block from generators keyed by (seed, stream, block), up to a horizon
beyond the last day: further days and the planted future are later slices of the same world.

Orders are a renewal process in shop time, which runs faster on busy days. After each order a
customer pauses with a probability of their own; a pause is a long gap, not an end. So the chance of
no order in the next days is known exactly, for whoever knows the parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from include.errors import InputError

Array = npt.NDArray[Any]

BLOCK_PERSONS = 20_000
FUTURE_DAYS = 400
"""Simulated beyond the last day: the year of future value, and what further_days can reach."""
BEFORE_DAYS = 365
"""Customers sign up from this long before the first day; their orders of that time are not kept."""
MOST_CUSTOMERS = 1_000_000
TWIN_SHARE = 0.02
"""Customer rows that are a second registration of somebody."""
DAY_SECONDS = 86_400
WEEKDAY_WEIGHTS = (1.05, 1.0, 1.0, 1.05, 1.15, 1.15, 0.6)
MONTH_WEIGHTS = (0.85, 0.85, 0.95, 1.0, 1.0, 0.95, 0.9, 0.9, 1.0, 1.05, 1.25, 1.3)


@dataclass(frozen=True)
class Segment:
    """One planted group; its people spread so widely around it that groups overlap."""

    name: str
    share: float
    gap_days: float  # median of a person's mean gap between orders, while they buy
    pause_share: float  # chance of a pause after an order
    lines: float  # median of a person's mean lines an order
    quantity: float
    bargain_share: float  # lines bought with a discount
    tier: tuple[float, float, float]  # low, middle, high price


SEGMENTS = (
    Segment("regulars", 0.24, 26, 0.07, 2.4, 1.3, 0.12, (0.3, 0.5, 0.2)),
    Segment("families", 0.20, 36, 0.10, 3.4, 1.9, 0.30, (0.5, 0.4, 0.1)),
    Segment("bargain hunters", 0.19, 52, 0.17, 2.0, 1.4, 0.65, (0.7, 0.25, 0.05)),
    Segment("gift buyers", 0.16, 85, 0.20, 1.7, 1.2, 0.15, (0.1, 0.4, 0.5)),
    Segment("businesses", 0.06, 20, 0.06, 4.0, 6.0, 0.20, (0.3, 0.5, 0.2)),
    Segment("passers-by", 0.15, 95, 0.42, 1.5, 1.1, 0.35, (0.4, 0.4, 0.2)),
)
SPREAD = {"gap": 0.55, "pause": 0.75, "lines": 0.30, "quantity": 0.35, "bargain": 0.9}
"""Standard deviations within a segment: of the logarithm, or of the log odds for shares."""
CONTENT_EFFECT = 0.5
"""How far one standard deviation of contentment lowers the log odds of a pause."""
GAP_SHAPES = (1.0, 4.0)
"""Gamma shapes of the gaps, from random to regular."""
PAUSE_SHAPE, PAUSE_DAYS = 1.5, 230.0
NEVER_BUY_SHARE = 0.06
COMPANY_SHARE = (0.02, 0.7)  # of others, of businesses


class Span(NamedTuple):
    """Rows last changed in [since, until), as they stand just before ``until`` (Unix seconds)."""

    since: int
    until: int


@dataclass(frozen=True)
class Plan:
    """What was asked for; the whole world follows from it."""

    customers: int
    days: int
    last_day: date
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.customers <= MOST_CUSTOMERS:
            raise InputError(
                f"CUSTOMERS {self.customers}: give a number from 1 to {MOST_CUSTOMERS}"
            )
        if self.days < 1:
            raise InputError(f"days {self.days}: give at least 1")

    @property
    def persons(self) -> int:
        """People with a shop record on the last day; the other rows are their twins."""
        return self.customers - int(TWIN_SHARE * self.customers)

    @property
    def start(self) -> date:
        """The first day; day numbers count from it."""
        return self.last_day - timedelta(days=self.days - 1)

    @property
    def horizon(self) -> int:
        """The day number at which the simulation ends."""
        return self.days + FUTURE_DAYS

    @property
    def arrivals_a_day(self) -> float:
        """New people a day after the last day: as many as before it."""
        return self.persons / (BEFORE_DAYS + self.days)

    @cached_property
    def epoch(self) -> int:
        """Unix seconds of the first day's midnight, UTC."""
        return int(datetime(*self.start.timetuple()[:3], tzinfo=UTC).timestamp())

    @cached_property
    def clock(self) -> Array:
        """Shop time at each midnight from BEFORE_DAYS before the start to the horizon."""
        days = [self.start + timedelta(days=n) for n in range(-BEFORE_DAYS, self.horizon)]
        weights = [WEEKDAY_WEIGHTS[day.weekday()] * MONTH_WEIGHTS[day.month - 1] for day in days]
        return np.concatenate([[0.0], np.cumsum(weights) / np.mean(weights)])

    def shop_time(self, day: float | Array) -> Any:
        """Shop time of a day number (fractions allowed)."""
        return np.interp(np.asarray(day) + BEFORE_DAYS, np.arange(len(self.clock)), self.clock)

    def day(self, shop_time: Array) -> Array:
        """The day number in which a shop time falls."""
        found: Array = np.searchsorted(self.clock, shop_time, side="right")
        return found - (1 + BEFORE_DAYS)

    def seconds(self, day: Array) -> Array:
        """Unix seconds of a day number."""
        return (self.epoch + np.asarray(day, dtype=float) * DAY_SECONDS).astype(np.int64)

    def rng(self, *stream: int) -> np.random.Generator:
        """The generator of one stream of draws."""
        return np.random.default_rng([self.seed, *stream])

    def blocks(self, until_day: int) -> Iterator[tuple[int, Array, Array]]:
        """Yield (block, person numbers, sign-up days), newcomers up to ``until_day`` included."""
        block = 0
        for first in range(0, self.persons, BLOCK_PERSONS):
            number = np.arange(first, min(first + BLOCK_PERSONS, self.persons)) + 1
            rng = self.rng(1, block)
            yield block, number, rng.uniform(-BEFORE_DAYS, self.days, len(number))
            block += 1
        arriving, first = int(self.arrivals_a_day * FUTURE_DAYS), 0
        while first < arriving and self.days + first / self.arrivals_a_day < until_day:
            position = np.arange(first, min(first + BLOCK_PERSONS, arriving))
            yield block, position + self.persons + 1, self.days + position / self.arrivals_a_day
            block, first = block + 1, first + BLOCK_PERSONS


@dataclass
class People:
    """The hidden traits of one block, one element a person."""

    block: int
    number: Array
    signup_day: Array
    segment: Array  # index into SEGMENTS
    gap_days: Array
    gap_shape: Array
    pause_share: Array
    lines: Array
    quantity: Array
    bargain_share: Array
    tier: Array
    content: Array  # contentment, standard normal: fewer pauses, better ratings
    company: Array
    never_buys: Array
    hour: Array
    channel: Array

    def __len__(self) -> int:
        return len(self.number)


def _odds(share: Array) -> Array:
    return np.asarray(np.log(share / (1 - share)))


def _share(odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-odds)))


def people(plan: Plan, block: int, number: Array, signup_day: Array) -> People:
    """Draw the traits of a block."""
    rng, n = plan.rng(2, block), len(number)
    segment = rng.choice(len(SEGMENTS), n, p=[s.share for s in SEGMENTS])

    def trait(name: str) -> Array:
        return np.array([getattr(s, name) for s in SEGMENTS])[segment]

    content = rng.standard_normal(n)
    never = rng.random(n) < NEVER_BUY_SHARE
    never[number == 1] = False  # whose order falls on the last day
    business = segment == [s.name for s in SEGMENTS].index("businesses")
    tiers = np.cumsum([s.tier for s in SEGMENTS], axis=1)[segment]
    return People(
        block=block,
        number=number,
        signup_day=signup_day,
        segment=segment,
        gap_days=np.maximum(4, trait("gap_days") * np.exp(SPREAD["gap"] * rng.standard_normal(n))),
        gap_shape=rng.uniform(*GAP_SHAPES, n),
        pause_share=_share(
            _odds(trait("pause_share"))
            + SPREAD["pause"] * rng.standard_normal(n)
            - CONTENT_EFFECT * content
        ),
        lines=trait("lines") * np.exp(SPREAD["lines"] * rng.standard_normal(n)),
        quantity=trait("quantity") * np.exp(SPREAD["quantity"] * rng.standard_normal(n)),
        bargain_share=_share(
            _odds(trait("bargain_share")) + SPREAD["bargain"] * rng.standard_normal(n)
        ),
        tier=np.minimum(2, (rng.random(n)[:, None] > tiers).sum(axis=1)),
        content=content,
        company=rng.random(n) < np.where(business, COMPANY_SHARE[1], COMPANY_SHARE[0]),
        never_buys=never,
        hour=np.where(rng.random(n) < 0.35, rng.normal(12, 1.5, n), rng.normal(19.5, 1.8, n)),
        channel=rng.choice(3, n, p=[0.5, 0.35, 0.15]),
    )


@dataclass
class Purchases:
    """The purchases of a block in the order of person and time, those before the start included."""

    person: Array  # position in People
    shop_time: Array
    paused: Array  # a pause follows
    next_time: Array  # shop time of the person's next purchase

    def at(self, person: Array, shop_time: float | Array) -> Array:
        """Position of each person's last purchase at or before a shop time; -1 where none."""
        span = 1e6  # beyond any shop time
        keys = self.person * span + self.shop_time
        found = np.searchsorted(keys, person * span + shop_time, side="right") - 1
        if len(self.person) == 0:
            return np.full(len(person), -1)
        return np.where((found >= 0) & (self.person[found] == person), found, -1)


def _gaps(folk: People, who: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    paused = rng.random(len(who)) < folk.pause_share[who]
    usual = rng.gamma(folk.gap_shape[who], folk.gap_days[who] / folk.gap_shape[who])
    pause = rng.gamma(PAUSE_SHAPE, PAUSE_DAYS / PAUSE_SHAPE, len(who))
    return paused, np.where(paused, pause, usual)


def purchases(
    plan: Plan, folk: People, who: Array, since: Array, rng: np.random.Generator
) -> Purchases:
    """Simulate the purchases of the people at ``who`` from the shop times ``since``."""
    end, now = plan.clock[-1], since.copy()
    persons, times, pauses, nexts = [], [], [], []
    while len(who):
        paused, gap = _gaps(folk, who, rng)
        persons.append(who)
        times.append(now)
        pauses.append(paused)
        nexts.append(now + gap)
        stay = now + gap < end
        who, now = who[stay], (now + gap)[stay]
    if not persons:
        none = np.array([])
        return Purchases(none.astype(int), none, none.astype(bool), none)
    person, time = np.concatenate(persons), np.concatenate(times)
    order = np.lexsort((time, person))
    return Purchases(
        person[order], time[order], np.concatenate(pauses)[order], np.concatenate(nexts)[order]
    )


def history(plan: Plan, folk: People) -> Purchases:
    """Every purchase of a block up to the horizon; person 1 buys on the last day."""
    rng = plan.rng(3, folk.block)
    first = plan.shop_time(folk.signup_day) + rng.exponential(8, len(folk))
    who = np.flatnonzero(~folk.never_buys & (first < plan.clock[-1]))
    bought = purchases(plan, folk, who, first[who], rng)
    if folk.number[0] == 1:
        _end_on_last_day(plan, folk, bought)
    return bought


def _end_on_last_day(plan: Plan, folk: People, bought: Purchases) -> None:
    """Shift person 1 in time so that an order falls on the last day, however small the world."""
    mine = bought.person == 0
    noon = float(plan.shop_time(plan.days - 0.5))
    before = bought.shop_time[mine & (bought.shop_time <= noon)]
    shift = noon - (before[-1] if len(before) else bought.shop_time[mine][0])
    bought.shop_time[mine] += shift
    bought.next_time[mine] += shift
    day = float(plan.day(bought.shop_time[mine][:1])[0])
    folk.signup_day[0] = max(-float(BEFORE_DAYS), min(float(folk.signup_day[0]), day))
