"""What a marketer calls a feature, and how a person writes its value."""

import calendar
from collections.abc import Callable
from datetime import datetime
from typing import Any

from include import contracts, domains

PARTS = {  # section -> feature -> what a marketer calls it
    "Who": {
        "country": "Country",
        "region": "Region",
        "city": "City",
        "language": "Language",
        "age_band": "Age",
        "gender": "Gender",
        "is_company": "Company",
        "signup_date": "Signed up",
        "record_count": "Records",
        "is_staff": "Staff",
        "is_test": "Test account",
        "consent_marketing": "May be written to",
        "consent_personalisation": "May get personal offers",
    },
    "Behaviour": {
        "lifecycle_stage": "Stage",
        "first_order_at": "First order",
        "last_order_at": "Last order",
        "recency_days": "Time since then",
        "order_count": "Orders",
        "orders_365d": "Orders, 365 days",
        "revenue": "Revenue",
        "revenue_365d": "Revenue, 365 days",
        "avg_order_value": "Mean order",
        "gap_days_mean": "Buys every",
        "return_rate": "Sent back",
        "visits_90d": "Visits, 90 days",
        "mail_open_rate": "Mails opened",
        "ticket_count": "Tickets",
        "rating_mean": "Mean rating of 5",
    },
    "Needs": {
        "next_order_due_date": "Next order due",
        "overdue_ratio": "Waited, × usual gap",
        "top_need_category": "Others bought next",
        "replenish_product_id": "Buys again and again",
        "replenish_due_date": "That is due",
        "open_tickets": "Open tickets",
    },
    "Preferences": {
        "top_category": "Category",
        "top_category_share": "Its share of the money",
        "category_count": "Categories",
        "top_product_id": "Product",
        "top_brand": "Brand",
        "price_band": "Price band",
        "avg_unit_price": "Mean unit price",
        "discount_share": "Discounts",
        "preferred_channel": "Orders by",
        "preferred_weekday": "Mostly on",
        "preferred_hour": "Mostly from",
    },
}
ONLY_IF_TRUE = {"is_staff", "is_test"}
LABELS = {name: label for part in PARTS.values() for name, label in part.items()}
WRITTEN: dict[str, Callable[[Any], str]] = {  # unit -> how a person writes it
    "currency": lambda money: f"{money:,.2f} {domains.load().currency}",
    "days": lambda days: f"{days:.0f} day{'' if round(days) == 1 else 's'}",
    "hour": lambda hour: f"{hour:02}:00",
    "ISO weekday": lambda day: calendar.day_name[day - 1],
    "points": lambda points: f"{points:.1f}",
    "rate": lambda rate: f"{rate:.0%}",
    "ratio": lambda ratio: f"{ratio:.1f}",
    "share": lambda share: f"{share:.0%}",
}


def masked(kind: str, value: str | None) -> str | None:
    """A name, an e-mail or a number that shows no more than its first or last signs."""
    if not value:
        return value
    if kind == "phone":
        return f"•••{value[-2:]}"
    if kind == "email":
        name, _, place = value.partition("@")
        return f"{name[:1]}•••@{place[:1]}•••"
    return " ".join(f"{word[:1]}•••" for word in value.split())


def written(feature: str, value: Any, products: dict[str, str]) -> str:
    """A feature's value as a person writes it, by the unit in its contract."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    unit = "rate" if feature.endswith("_rate") else _units().get(feature)
    if unit in WRITTEN:
        return WRITTEN[unit](value)
    return products.get(str(value), str(value))


def _units() -> dict[str, str]:
    columns = contracts.load("mart.customer_profile").columns
    return {column.name: column.unit for column in columns if column.unit}
