"""A corner shop: its whole CRM is three tables in a SQLite file, and a mapping of its own."""

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tests.flow.command import ROOT

CUSTOMER = """
  customer:
    select: SELECT id AS source_id, name AS full_name, mail AS email FROM customers
"""
ORDER = """
  customer_order:
    select: |
      SELECT number AS source_id, customer AS customer_source_id, ordered AS ordered_at,
             'completed' AS status
      FROM orders
"""
LINE = """
  order_line:
    select: |
      SELECT o.number || '-' || l.rowid AS source_id, o.number AS order_source_id,
             o.customer AS customer_source_id, l.product AS product_source_id,
             o.ordered AS ordered_at, l.quantity, l.price AS unit_price
      FROM lines AS l JOIN orders AS o USING (number)
"""
Order = tuple[str, str, str, list[tuple[str, int, float]]]
"""number, customer, moment, lines of (product, quantity, price)."""


def mapping(connection: str, *entities: str) -> str:
    """A mapping of the corner shop with these entities, under a connection of its own."""
    return f"connection: {connection}\nentities:" + "".join(entities)


def checkout(folder: Path, **mappings: str) -> Path:
    """A copy of this checkout's code with further sources."""
    for name in ("include", "dags", "plugins"):
        unused = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=unused)
    for name, text in mappings.items():
        (folder / "include" / "sources" / f"{name}.yaml").write_text(text)
    return folder


def crm(path: Path, customers: Iterable[str] = (), orders: Iterable[Order] = ()) -> str:
    """Write the CRM; return its connection."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """CREATE TABLE customers (id TEXT, name TEXT, mail TEXT);
               CREATE TABLE orders (number TEXT, customer TEXT, ordered TEXT);
               CREATE TABLE lines (number TEXT, product TEXT, quantity INTEGER, price REAL);"""
        )
        for name in customers:
            mail = f"{name}@corner.example"
            db.execute("INSERT INTO customers VALUES (?, ?, ?)", [name, f"{name} Corner", mail])
        for number, customer, moment, lines in orders:
            db.execute("INSERT INTO orders VALUES (?, ?, ?)", [number, customer, moment])
            rows = [(number, *line) for line in lines]
            db.executemany("INSERT INTO lines VALUES (?, ?, ?, ?)", rows)
        db.commit()
    return f"sqlite:///{path}"
