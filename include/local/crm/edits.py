"""What people at the desk do to the demo CRM in a day: corrections, soft and hard deletes."""

import sqlite3
from datetime import datetime, timedelta

import numpy as np

from include.local.crm import catalogue, tables
from include.local.crm.catalogue import Catalogue
from include.local.crm.tables import Shop
from include.local.crm.world import Plan


def _some(rng: np.random.Generator, keys: list[tuple[object, ...]], share: float) -> list[int]:
    """Positions of a share of ``keys``: at least one where there is any."""
    wanted = min(len(keys), max(1, round(share * len(keys))))
    return [int(at) for at in rng.choice(len(keys), wanted, replace=False)] if keys else []


def products(shop: Shop, plan: Plan, goods: Catalogue, day: int) -> dict[str, int]:
    """New in the range, out of the range, another price or stock, removed. No column says when."""
    rng, codes = plan.rng(22, day), goods.code
    new = np.flatnonzero(goods.available_day == day)
    rows = catalogue.rows(plan, goods, day + 1)
    fresh = [codes[at] for at in new.tolist()]
    mask = np.isin(np.array(rows["code"].to_pylist()), fresh)
    added = tables.upsert(shop, "products", rows.filter(mask)) if mask.any() else 0
    date = plan.start + timedelta(days=day)
    for at in np.flatnonzero(goods.discontinued_day == day).tolist():
        shop.execute("UPDATE products SET discontinued_on = %s WHERE code = %s", [date, codes[at]])
    gone = [codes[at] for at in np.flatnonzero(goods.removed_day == day).tolist()]
    removed = shop.execute("DELETE FROM products WHERE code = ANY(%s)", [gone]).rowcount
    priced, stocked = rng.choice(len(codes), 5), rng.choice(len(codes), 20)
    changed = 0
    for at, rate in zip(priced.tolist(), rng.uniform(0.95, 1.1, 5).tolist(), strict=True):
        changed += shop.execute(
            "UPDATE products SET price = round(price * %s::numeric, 2) WHERE code = %s",
            [round(rate, 3), codes[at]],
        ).rowcount
    for at, stock in zip(stocked.tolist(), rng.integers(0, 300, 20).tolist(), strict=True):
        changed += shop.execute(
            "UPDATE products SET stock = %s WHERE code = %s", [stock, codes[at]]
        ).rowcount
    return {"products": added, "products changed": changed, "products removed": removed}


def shop(
    shop: Shop, plan: Plan, rng: np.random.Generator, day: int, stamp: datetime
) -> dict[str, int]:
    """Customers who move, change their address or leave; lines and orders that are struck off."""
    keys = shop.execute(
        "SELECT id FROM customers WHERE NOT deleted AND id > 1 ORDER BY id"
    ).fetchall()
    mail, move, leave = (_some(rng, keys, share) for share in (0.0004, 0.0004, 0.00005))
    for at in mail:
        address = f"changed{keys[at][0]}.{day}@example.org"
        shop.execute(
            "UPDATE customers SET email = %s, updated_at = %s WHERE id = %s",
            [address, stamp, keys[at][0]],
        )
    moved = [keys[at][0] for at in move]
    shop.execute(
        "UPDATE customers SET street = '1 Demo Lane', postal_code = 'D00001', updated_at = %s "
        "WHERE id = ANY(%s)",
        [stamp, moved],
    )
    left = [keys[at][0] for at in leave]
    shop.execute(
        "UPDATE customers SET deleted = true, updated_at = %s WHERE id = ANY(%s)", [stamp, left]
    )
    struck = _strike(shop, plan, rng, day, stamp)
    return {"customers changed": len(mail) + len(moved), "customers deleted": len(left), **struck}


def _strike(
    shop: Shop, plan: Plan, rng: np.random.Generator, day: int, stamp: datetime
) -> dict[str, int]:
    """Orders and lines of a month ago: settled, so that no later change brings them back."""
    window = [plan.start + timedelta(days=day - ago) for ago in (30, 20)]
    lines = shop.execute(
        "SELECT order_no, line_no FROM order_lines WHERE line_no > 1 AND NOT deleted "
        "AND ordered_at >= %s::timestamp AT TIME ZONE 'UTC' "
        "AND ordered_at < %s::timestamp AT TIME ZONE 'UTC' ORDER BY order_no, line_no",
        window,
    ).fetchall()
    for at in (chosen := _some(rng, lines, 0.0005)):
        shop.execute(
            "UPDATE order_lines SET deleted = true, updated_at = %s "
            "WHERE order_no = %s AND line_no = %s",
            [stamp, *lines[at]],
        )
    failed = shop.execute(
        "SELECT order_no FROM orders WHERE status IN ('offer', 'cancelled') AND NOT deleted "
        "AND ordered_at < %s::timestamp AT TIME ZONE 'UTC' ORDER BY order_no",
        window[1:],
    ).fetchall()
    cleared = [failed[at][0] for at in _some(rng, failed, 0.0005)]
    shop.execute(
        "UPDATE orders SET deleted = true, updated_at = %s WHERE order_no = ANY(%s)",
        [stamp, cleared],
    )
    return {"order_lines deleted": len(chosen), "orders deleted": len(cleared)}


def support(desk: sqlite3.Connection, rng: np.random.Generator, stamp: datetime) -> dict[str, int]:
    """Accounts corrected or erased, opinions withdrawn, consents reversed, tickets struck off."""
    changed = stamp.strftime("%Y-%m-%d %H:%M:%S")
    corrected = _chosen(desk, rng, "SELECT account_no FROM accounts ORDER BY 1", 0.0004)
    desk.executemany(
        "UPDATE accounts SET telephone = NULL, changed = ? WHERE account_no = ?",
        [(changed, *key) for key in corrected],
    )
    erased = _erase(desk, rng, changed)
    withdrawn = _chosen(
        desk, rng, "SELECT feedback_no FROM feedback WHERE feedback_no > 0 ORDER BY 1", 0
    )
    desk.executemany("DELETE FROM feedback WHERE feedback_no = ?", withdrawn)
    settled = "SELECT ticket_no FROM tickets WHERE state = 'solved' AND removed = 0 ORDER BY 1"
    struck = _chosen(desk, rng, settled, 0)
    desk.executemany(
        "UPDATE tickets SET removed = 1, changed = ? WHERE ticket_no = ?",
        [(changed, *key) for key in struck],
    )
    turned = _chosen(desk, rng, "SELECT account_no, purpose FROM consents ORDER BY 1, 2", 0.0005)
    desk.executemany(
        "UPDATE consents SET granted = 1 - granted, changed = ? "
        "WHERE account_no = ? AND purpose = ?",
        [(changed, *key) for key in turned],
    )
    return {
        "accounts changed": len(corrected),
        "accounts removed": erased,
        "feedback removed": len(withdrawn),
        "tickets deleted": len(struck),
        "consents changed": len(turned),
    }


def _erase(desk: sqlite3.Connection, rng: np.random.Generator, changed: str) -> int:
    """Remove accounts that never wrote, and what later days wrote for removed ones."""
    silent = """SELECT account_no FROM accounts
        WHERE account_no NOT IN (SELECT account_no FROM tickets WHERE account_no IS NOT NULL)
        AND account_no NOT IN (SELECT account_no FROM feedback WHERE account_no IS NOT NULL)
        ORDER BY 1"""
    erased = _chosen(desk, rng, silent, 0.00005)
    for table in ("accounts", "consents"):
        desk.executemany(f"DELETE FROM {table} WHERE account_no = ?", erased)
    for table in ("tickets", "feedback"):  # of accounts erased on an earlier day
        desk.execute(
            f"DELETE FROM {table} WHERE changed = ? "
            "AND account_no NOT IN (SELECT account_no FROM accounts)",
            [changed],
        )
    return len(erased)


def _chosen(
    desk: sqlite3.Connection, rng: np.random.Generator, keys: str, share: float
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = desk.execute(keys).fetchall()
    return [rows[at] for at in _some(rng, rows, share)]
