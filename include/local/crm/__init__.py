"""The demo CRM: a shop (PostgreSQL) and a support desk (SQLite) with the same invented people.

``generate`` makes both anew; ``further_days`` lets time pass in them. What is planted is in
``truth``. Customers, names, products and texts are all invented and marked so.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from include.errors import InputError
from include.local.crm import catalogue, dirt, edits, events, orders, people, support, tables
from include.local.crm.tables import Shop
from include.local.crm.truth import Truth
from include.local.crm.world import People, Plan, Purchases, Span, history
from include.local.crm.world import people as inhabitants

log = logging.getLogger(__name__)

EVER = -(2**62)  # before any change
REMARK = "Demo data: everyone and everything in here is invented."


@dataclass
class World:
    """One block of people with everything they do up to the horizon."""

    plan: Plan
    goods: catalogue.Catalogue
    folk: People
    bought: Purchases
    made: orders.Orders
    happened: events.Events
    known: people.Records

    def shop(self, span: Span) -> dict[str, pa.Table]:
        """The rows of ``shop`` in a span, but for products."""
        common = (self.plan, self.folk, self.goods)
        return {
            "customers": people.customer_rows(self.known, span),
            "orders": orders.order_rows(*common, self.made, span),
            "order_lines": orders.line_rows(*common, self.made, span),
            **events.rows(*common, self.happened, span),
        }

    def support(self, span: Span) -> dict[str, list[dict[str, object]]]:
        """The rows of ``support`` in a span."""
        common = (self.plan, self.folk, self.goods, self.made, self.known, span)
        return {
            "accounts": people.account_rows(self.known, span),
            "tickets": support.ticket_rows(*common),
            "feedback": support.feedback_rows(*common),
            "consents": support.consent_rows(self.plan, self.folk, self.known, span),
        }


def worlds(plan: Plan, goods: catalogue.Catalogue, until_day: int) -> Iterator[World]:
    """Simulate block after block: everyone who signs up before ``until_day``."""
    for block, number, signup_day in plan.blocks(until_day):
        folk = inhabitants(plan, block, number, signup_day)
        bought = history(plan, folk)
        made = orders.orders(plan, folk, goods, bought)
        happened = events.events(plan, folk, goods, bought, made)
        known = people.records(plan, folk)
        yield World(plan, goods, folk, bought, made, happened, known)


def generate(
    shop: Shop,
    support: Path,
    *,
    customers: int = 10_000,
    days: int = 800,
    last_day: date,
    seed: int = 7,
    truth: Path | None = None,
    now: datetime | None = None,
) -> dict[str, int]:
    """Fill ``shop`` and ``support`` anew with a demo CRM.

    Parameters
    ----------
    shop : the database of the shop; its tables of an earlier run are dropped. Committed at the end.
    support : path of the SQLite file.
    customers : rows in ``customers``, second registrations of the same person included.
    days : length of the history; ``last_day`` is its last day and has orders.
    seed : the same one gives the same rows.
    truth : where to write what was planted (see truth); tests alone read it.
    now : no row is stamped as changed after this moment; default: the present.

    Returns the rows of each table. Raises InputError for too many customers, or no days.
    """
    plan, started, kept = Plan(customers, days, last_day, seed), time.monotonic(), Truth()
    goods = catalogue.catalogue(plan)
    with tables.open_support(support) as desk:
        dirt = _write(shop, desk, plan, goods, kept if truth else None)
        _cap_stamps(shop, desk, now or datetime.now(UTC))
        counts = tables.finish(shop, desk, _remark(plan, through_day=days))
    shop.commit()
    if truth:
        kept.write(truth, plan, goods, dirt)
    log.info("demo CRM: %d rows in %.1f s", sum(counts.values()), time.monotonic() - started)
    return counts


def _write(
    shop: Shop, desk: sqlite3.Connection, plan: Plan, goods: catalogue.Catalogue, kept: Truth | None
) -> dict[str, Any]:
    """Fill the tables with everything up to the last day; return the dirt."""
    tables.create_shop(shop)
    tables.create_support(desk)
    tables.copy_rows(shop, "products", catalogue.rows(plan, goods, plan.days))
    span = Span(EVER, int(plan.seconds(np.array(plan.days))))
    for world in worlds(plan, goods, until_day=plan.days):
        for name, rows in world.shop(span).items():
            tables.copy_rows(shop, name, rows)
        for name, entries in world.support(span).items():
            tables.replace_rows(desk, name, entries)
        if kept:
            kept.add(plan, world.folk, goods, world.bought, world.made, world.known)
        log.info("demo CRM: %d of %d people", world.folk.number[-1], plan.persons)
    return dirt.add(shop, desk, span.until)


def _cap_stamps(shop: Shop, desk: sqlite3.Connection, now: datetime) -> None:
    """A history that reaches into today must not be stamped as changed later than now."""
    for name, columns in tables.SHOP.items():
        if "updated_at" in columns:
            shop.execute(f"UPDATE {name} SET updated_at = %s WHERE updated_at > %s", [now, now])
    text = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    for name in tables.SUPPORT:
        desk.execute(f"UPDATE {name} SET changed = ? WHERE changed > ?", [text, text])


def _remark(plan: Plan, through_day: int) -> str:
    """Says that all is invented, and holds what further_days needs to go on."""
    state = {
        "customers": plan.customers,
        "days": plan.days,
        "last_day": str(plan.last_day),
        "seed": plan.seed,
        "through_day": through_day,
    }
    return f"{REMARK} {json.dumps(state)}"


def _state(shop: Shop) -> tuple[Plan, int]:
    said = tables.remark(shop) or ""
    if not said.startswith(REMARK):
        raise InputError("shop: not made by the demo generator; run generate() first")
    state = json.loads(said.removeprefix(REMARK))
    last_day = date.fromisoformat(state["last_day"])
    plan = Plan(state["customers"], state["days"], last_day, state["seed"])
    return plan, state["through_day"]


def further_days(
    shop: Shop, support: Path, *, days: int, seed: int = 7, now: datetime | None = None
) -> dict[str, int]:
    """Let ``days`` more days pass: rows are added, changed, marked as deleted and removed.

    One day after the other gives the same rows as all at once.

    Parameters
    ----------
    shop, support : as ``generate`` left them. ``shop`` is committed at the end.
    seed : of the edits; orders and visits go on in the world that ``generate`` began.
    now : the moment that changed rows are stamped with (default: the present), as a CRM's own
        clock would: a loader that has read up to yesterday finds them.

    Returns
    -------
    Rows added or replaced in each table; of edits, the number of each kind.

    Raises
    ------
    InputError
        If ``shop`` is not the demo's, or its world ends before that day.
    """
    plan, through = _state(shop)
    if not 1 <= days <= (left := plan.horizon - through):
        raise InputError(f"days {days}: give 1 to {left}, the demo's world ends after that")
    stamp = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    goods, counts = catalogue.catalogue(plan), dict[str, int]()
    blocks = list(worlds(plan, goods, until_day=through + days))
    with tables.open_support(support) as desk:
        for day in range(through, through + days):
            for world in blocks:
                _add(counts, _pass_day(shop, desk, world, day, stamp))
            _add(counts, edits.products(shop, plan, goods, day))
            _add(counts, edits.shop(shop, plan, plan.rng(20, seed, day), day, stamp))
            _add(counts, edits.support(desk, plan.rng(21, seed, day), stamp))
    tables.describe(shop, _remark(plan, through + days))
    shop.commit()
    log.info("demo CRM: %d further days, %d changes", days, sum(counts.values()))
    return counts


def _add(counts: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def _pass_day(
    shop: Shop, desk: sqlite3.Connection, world: World, day: int, stamp: datetime
) -> dict[str, int]:
    """Write what one block did on one day."""
    span = Span(*(int(second) for second in world.plan.seconds(np.array([day, day + 1]))))
    counts = {}
    for name, rows in world.shop(span).items():
        at = rows.column_names.index("updated_at")
        stamps = pa.repeat(pa.scalar(stamp, pa.timestamp("s", "UTC")), rows.num_rows)
        counts[name] = tables.upsert(shop, name, rows.set_column(at, "updated_at", stamps))
    text = stamp.strftime("%Y-%m-%d %H:%M:%S")
    for name, entries in world.support(span).items():
        tables.replace_rows(desk, name, [{**row, "changed": text} for row in entries])
        counts[name] = len(entries)
    return counts
