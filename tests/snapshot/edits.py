"""A warehouse whose rows land and change at moments of our choice, as the loads would do it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

START = datetime(2026, 1, 1, tzinfo=UTC)
RECORDS, ORDERS, PRODUCTS = 12, 24, 6


def land(db: psycopg.Connection, entity: str, key: str, at: datetime, **values: Any) -> None:
    """Land a row of the shop at a moment; a version that is there becomes history.

    >>> land(db, "product", "P", START, name="Pen")
    """
    table, old = sql.Identifier("landing", entity), sql.Identifier("landing", f"{entity}_history")
    db.execute(
        sql.SQL("INSERT INTO {} SELECT t.*, t.landed_at, %s FROM {} t WHERE source_id = %s").format(
            old, table
        ),
        [at, key],
    )
    row = {"source": "shop", "source_id": key, "landed_at": at, "run_id": "r", **values}
    names, marks = map(sql.Identifier, row), sql.SQL(", ").join([sql.Placeholder()] * len(row))
    sets = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in row]
    db.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (source, source_id) DO UPDATE SET {}")
        .format(table, sql.SQL(", ").join(names), marks, sql.SQL(", ").join(sets)),
        list(row.values()),
    )  # fmt: skip


def identify(db: psycopg.Connection, record: str, customer_id: int, at: datetime) -> None:
    """Make a record a customer's from a moment on."""
    db.execute(
        """INSERT INTO core.identity_history (source, source_id, customer_id, rule, probability,
               valid_from, valid_to)
           SELECT source, source_id, customer_id, rule, probability, since, %s
           FROM core.identity WHERE source_id = %s""",
        [at, record],
    )
    db.execute(
        """INSERT INTO core.identity (source, source_id, customer_id, rule, probability, since)
           VALUES ('shop', %s, %s, 'alone', 1, %s) ON CONFLICT (source, source_id)
           DO UPDATE SET customer_id = excluded.customer_id, since = excluded.since""",
        [record, customer_id, at],
    )


def random_edits(db: psycopg.Connection, rng: np.random.Generator, at: datetime, n: int) -> None:
    """Land ``n`` rows by ``at``, one every 8 seconds: new ones, other versions, deletions."""
    for place in range(n):
        _edit(db, rng, at - timedelta(seconds=8 * (n - 1 - place)))
    db.commit()


def placed(order: str) -> datetime:
    """When an order was placed, whichever version says it."""
    return START - timedelta(days=5 * int(order[1:]), hours=int(order[1:]))


def _edit(db: psycopg.Connection, rng: np.random.Generator, at: datetime) -> None:
    def one(*values: Any, null: float = 0.2) -> Any:
        return None if rng.random() < null else values[rng.integers(0, len(values))]

    def of(kind: str, number: int, null: float = 0.0) -> str | None:
        return one(*(f"{kind}{n}" for n in range(number)), null=null)

    gone, n = one(at, null=0.85), int(rng.integers(0, 60))
    day = START - timedelta(days=int(rng.integers(0, 120)))
    later, latest = (day + timedelta(hours=float(rng.integers(1, 900))) for _ in "ab")
    buyer, product, order = of("c", RECORDS, 0.2), of("p", PRODUCTS), of("o", ORDERS)
    match rng.integers(0, 11):
        case 0:
            land(db, "customer", of("c", RECORDS), at, city=of("town", 3, 0.2), signup_at=one(day),
                 gender=one("f", "m"), country=one("NO", "SE"), first_name=one("Test", null=0.7),
                 email=one("ada@staff.example", null=0.7), deleted_at=gone)  # fmt: skip
        case 1:
            land(db, "product", product, at, name=of("thing", 2), in_stock=one(True, False),
                 category=of("kind", 3, 0.2), brand=of("brand", 2, 0.2), price=one(1, 5, 20),
                 is_product=one(True, True, False), deleted_at=gone)  # fmt: skip
        case 2 | 3:
            land(db, "customer_order", order, at, customer_source_id=buyer, channel=one("web"),
                 ordered_at=placed(order), status=one("cancelled", "paid"), total=n,
                 deleted_at=gone)  # fmt: skip
        case 4 | 5 | 6:
            land(db, "order_line", f"l{n}", at, order_source_id=order, product_source_id=product,
                 customer_source_id=of("c", RECORDS, 0.7), ordered_at=placed(order), unit_price=2,
                 quantity=n % 4 - 1, discount=one(1, null=0.8), deleted_at=gone)  # fmt: skip
        case 7:
            land(db, "interaction", f"i{n}", at, customer_source_id=buyer or "c1", happened_at=day,
                 kind=one("visit", "view", "cart", "mail_sent", "mail_open", null=0),
                 product_source_id=product, deleted_at=gone)  # fmt: skip
        case 8:
            land(db, "ticket", f"t{n}", at, customer_source_id=buyer, opened_at=day,
                 first_answer_at=one(later), closed_at=one(latest), reopened=one(0, 1),
                 product_source_id=product, deleted_at=gone)  # fmt: skip
            land(db, "feedback", f"f{n}", at, customer_source_id=buyer, given_at=later,
                 rating=n % 6, product_source_id=product, deleted_at=gone)  # fmt: skip
        case 9:
            land(db, "consent", f"a{n}", at, customer_source_id=buyer or "c2", given_at=day,
                 purpose="marketing", granted=bool(n % 2), deleted_at=gone)  # fmt: skip
        case 10:
            identify(db, of("c", RECORDS), int(rng.integers(1, 9)), at)
