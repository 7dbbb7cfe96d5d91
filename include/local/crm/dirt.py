"""Rows that a quality check must set aside, and keys that identify nobody. A handful of each."""

import sqlite3
from typing import Any

import numpy as np
import pyarrow as pa

from include.local.crm import tables
from include.local.crm.orders import stamp
from include.local.crm.people import JUNK_MAILS
from include.local.crm.tables import Shop

NAN = float("nan")


def add(shop: Shop, support: sqlite3.Connection, until: int) -> dict[str, Any]:
    """Add the dirt; return what is bad per entity and why, in rows."""
    when = np.array([until - 3600])
    _products(shop)
    _orders(shop, when)
    _lines(shop, when)
    text = str(when.astype("datetime64[s]")[0]).replace("T", " ")
    tickets = [
        {"ticket_no": f"TX{n}", "topic": "product", "state": "???", "opened": text, "changed": text}
        for n in range(2)
    ]
    feedback = [
        {"feedback_no": -n, "stars": 9, "given": text, "changed": text} for n in range(1, 3)
    ]
    tables.replace_rows(support, "tickets", tickets)
    tables.replace_rows(support, "feedback", feedback)
    junk = shop.execute(
        "SELECT count(*) FROM customers WHERE email = ANY(%s)", [list(JUNK_MAILS)]
    ).fetchone()
    return {
        "set_aside": {
            "product": {"negative price": 3, "price not a number": 2},
            "customer_order": {"no ordered_at": 4, "unknown status": 3},
            "order_line": {"price not a number": 3, "no ordered_at": 2, "no product": 2},
            "ticket": {"unknown status": 2},
            "feedback": {"rating out of range": 2},
        },
        "kept": {"customer": {"junk e-mail": junk[0] if junk else 0}},
    }


def _products(shop: Shop) -> None:
    price = [-4.5, -1.0, -12.99, NAN, NAN]
    rows = {
        "code": [f"PX{n}" for n in range(5)],
        "name": [f"Demo dirt {n}" for n in range(5)],
        "price": pa.array(price, from_pandas=False),
        "is_product": [True] * 5,
    }
    tables.copy_rows(shop, "products", pa.table(rows))


def _orders(shop: Shop, when: Any) -> None:
    known = np.array([False] * 4 + [True] * 3)
    rows = {
        "order_no": [f"WX{n}" for n in range(7)],
        "customer_id": [1] * 7,
        "ordered_at": stamp(np.repeat(when, 7), known),
        "status": ["paid"] * 4 + ["zz_legacy"] * 3,
        "total": [10.0] * 7,
        "deleted": [False] * 7,
        "updated_at": stamp(np.repeat(when, 7)),
    }
    tables.copy_rows(shop, "orders", pa.table(rows))


def _lines(shop: Shop, when: Any) -> None:
    known = np.array([True] * 3 + [False] * 2 + [True] * 2)
    rows = {
        "order_no": ["WX0"] * 7,
        "line_no": list(range(1, 8)),
        "customer_id": [1] * 7,
        "product_code": pa.array(["P00001"] * 5 + [None] * 2, pa.string()),
        "ordered_at": stamp(np.repeat(when, 7), known),
        "quantity": [1] * 7,
        "unit_price": pa.array([NAN] * 3 + [5.0] * 4, from_pandas=False),
        "deleted": [False] * 7,
        "updated_at": stamp(np.repeat(when, 7)),
    }
    tables.copy_rows(shop, "order_lines", pa.table(rows))
