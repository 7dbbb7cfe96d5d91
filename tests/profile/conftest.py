"""The profile of a snapshot of a few rows."""

from datetime import date

import pytest

from include import profile
from tests.snapshots import write_snapshot

AS_OF = date(2026, 3, 1)


@pytest.fixture
def profiled(tmp_path):
    """Call with columns and tables: gives the rows as tuples, by customer_id."""

    def rows(columns: str, *, consent_mapped: bool | None = None, **tables):
        write_snapshot(tmp_path, consent_mapped=consent_mapped, **tables)
        with profile.open_snapshot(tmp_path) as (db, _):
            profile.build(db, AS_OF)
            query = f"SELECT {columns} FROM profile ORDER BY customer_id"
            return db.execute(query).fetchall()

    return rows


@pytest.fixture
def line():
    """Make an order line; what is not said: product p, one piece for 10."""

    def order_line(customer, order, day, quantity=1, price=10, product="p", **more):
        return {
            "customer_id": customer, "order_id": order, "ordered_at": day, "quantity": quantity,
            "unit_price": price, "product_id": product, **more,
        }  # fmt: skip

    return order_line
