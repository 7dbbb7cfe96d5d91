"""Random snapshots full of what differs between engines: nulls, ties, decimals, returns."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

START = datetime.fromisoformat("2025-01-01")
KINDS = ["visit", "view", "cart", "mail_sent", "mail_open", "mail_click", "campaign_answer"]
NAMES = ["", "a", "B", "b", "Ä", "ä", "é", "z z", "Z"]  # collations disagree on these


def random_shop(seed: int, *, customers: int = 40, days: int = 420) -> dict[str, list[dict]]:
    """Rows by entity, as ``write_snapshot`` takes them; times around both DST nights too."""
    rng = np.random.default_rng(seed)

    def one_of(values: list[Any], null: float = 0.2) -> Any:
        return None if rng.random() < null else values[rng.integers(0, len(values))]

    def who() -> int | None:
        return one_of(list(range(1, customers + 1)), null=0.05)

    def moment() -> datetime:
        return START + timedelta(seconds=int(rng.integers(0, days * 24 * 6)) * 600)

    def day() -> date:
        return moment().date()

    def cents(high: int) -> str:
        return f"{rng.integers(0, high) / 100:.2f}"

    def consented(number: int) -> datetime:
        """Some at the same moment, some on any day."""
        return START + timedelta(days=int(rng.choice([number % 9, rng.integers(0, days)])))

    products = [f"shop:{name}{number}" for number, name in enumerate(NAMES)]
    buyers = {f"o{number}": (who(), moment()) for number in range(customers * 8)}
    return {
        "customer": [
            {"customer_id": who(), "source": one_of(["shop", "Support"], null=0),
             "source_id": str(n), "signup_on": one_of([day()]), "region": one_of(NAMES),
             "birth_year": one_of([1890, 1950, 1990, 2020, 2030]),
             "gender": one_of(["F", "m"]), "city": one_of(NAMES), "country": one_of(NAMES),
             "is_company": one_of([True, False]), "is_staff": bool(rng.random() < 0.2),
             "is_test": bool(rng.random() < 0.2)}
            for n in range(customers)
        ],
        "product": [
            {"product_id": product, "category": one_of(NAMES[1:5], null=0.1),
             "brand": one_of(NAMES[1:4])}
            for product in products[1:]
        ],
        "customer_order": [
            {"order_id": order, "customer_id": buyer, "ordered_at": at, "channel": one_of(NAMES),
             "is_left_out": bool(rng.random() < 0.2)}
            for order, (buyer, at) in buyers.items() if rng.random() < 0.9
        ],
        "order_line": [
            {"order_id": order, "customer_id": buyer, "ordered_at": at, "line_no": number,
             "product_id": products[rng.integers(0, len(products))],
             "is_product": bool(rng.random() < 0.9), "quantity": int(rng.integers(-1, 3)),
             "unit_price": one_of(["0.1", "2.5", "3.333333"], null=0),
             "discount": one_of([cents(50)], null=0.9)}
            for order, (buyer, at) in buyers.items() for number in range(rng.integers(1, 5))
        ],
        "ticket": [
            {"ticket_id": str(n), "customer_id": who(), "opened_at": moment(),
             "first_answer_at": one_of([moment()]), "closed_at": one_of([moment()]),
             "reopened": one_of([0, 1, 2])}
            for n in range(customers * 2)
        ],
        "feedback": [
            {"feedback_id": str(n), "customer_id": who(), "given_at": moment(),
             "rating": one_of([0.5, 1, 3.3, 4.9, 5])}
            for n in range(customers * 2)
        ],
        "interaction": [
            {"customer_id": who(), "happened_at": moment(), "kind": one_of(KINDS, null=0)}
            for n in range(customers * 6)
        ],
        "consent": [
            {"customer_id": who(), "purpose": one_of(["marketing", "personalisation"], null=0),
             "granted": bool(rng.random() < 0.5), "given_at": consented(n)}
            for n in range(customers * 2)
        ],
    }  # fmt: skip
