"""One customer, all of it, as a card in the terminal."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from include import connections, contracts
from include.errors import InputError
from include.local import postgres

PARTS = {
    "Who": [
        *("country", "region", "city", "language", "age_band", "gender", "is_company", "sources"),
        *("signup_date", "tenure_days", "consent_marketing", "consent_personalisation"),
    ],
    "Behaviour": [
        *("first_order_at", "last_order_at", "recency_days", "order_count", "orders_90d"),
        *("orders_365d", "revenue", "revenue_365d", "avg_order_value", "return_rate"),
        *("gap_days_mean", "ticket_count", "rating_mean"),
    ],
    "Needs": ["next_order_due_date", "overdue_ratio", "top_need_category", "open_tickets"],
    "Preferences": [
        *("top_category", "top_category_share", "category_count", "top_product_id", "price_band"),
        *("avg_unit_price", "preferred_hour", "preferred_weekday", "preferred_channel"),
    ],
}
PERSONAL = """SELECT DISTINCT coalesce(full_name, concat_ws(' ', first_name, last_name)) AS name,
    email, phone FROM landing.customer JOIN core.identity USING (source, source_id)
    WHERE customer_id = %s AND deleted_at IS NULL ORDER BY 1, 2, 3"""
SEGMENT = """SELECT segment_name, since, previous_segment_key, rfm_segment
    FROM bi.customer_segment WHERE customer_id = %s"""
SCORES = """SELECT model, round(score::numeric, 3) AS score, decile, reason_1, reason_2, reason_3,
    ineligible_reason FROM bi.customer_score WHERE customer_id = %s ORDER BY model"""
VALUE = """SELECT expected_orders_365d, expected_revenue_365d, prob_alive
    FROM bi.customer_value WHERE customer_id = %s"""
OFFERS = """SELECT list, rank, product_name, reason FROM bi.recommendation
    WHERE customer_id = %s ORDER BY list, rank"""
KNOWN = "SELECT * FROM bi.customer_profile_history WHERE customer_id = %s ORDER BY from_as_of"
EVENTS = """SELECT at, event, reason FROM core.identity_event
    WHERE customer_id = %(id)s OR other_customer_id = %(id)s ORDER BY at"""
MOST_CHANGES = 12


def portrait(home: Path, console: Console) -> None:
    """Print the card of CUSTOMER, a customer_id or ``source:source_id``.

    Names and addresses are masked unless PERSONAL=show.
    """
    url = (
        connections.address("warehouse").url
        if os.environ.get("AIRFLOW_CONN_WAREHOUSE")
        else postgres.start(home).url()
    )
    with psycopg.connect(url, row_factory=dict_row) as db:
        customer = _asked_for(db, os.environ.get("CUSTOMER", ""))
        console.print(card(db, customer, shown=os.environ.get("PERSONAL") == "show"))


def _asked_for(db: psycopg.Connection[dict[str, Any]], asked: str) -> int:
    source, _, source_id = asked.partition(":")
    if source_id:
        row = db.execute(
            "SELECT customer_id FROM bi.customer_key WHERE source = %s AND source_id = %s",
            [source, source_id],
        ).fetchone()
    elif asked.isdecimal():
        row = db.execute(
            "SELECT customer_id FROM bi.customer_profile WHERE customer_id = %s", [asked]
        ).fetchone()
    else:
        raise InputError(
            f"CUSTOMER={asked}: give a customer_id, or source:source_id, as "
            "make portrait CUSTOMER=17"
        )
    if row is None:
        raise InputError(
            f"CUSTOMER={asked}: nobody of that id in the published generation; look into "
            "bi.customer_key, or publish first"
        )
    return int(row["customer_id"])


def card(db: psycopg.Connection[dict[str, Any]], customer: int, *, shown: bool) -> Panel:
    """The card of one customer; ``shown``: with names, e-mails and numbers in clear."""
    profile = db.execute(
        "SELECT * FROM bi.customer_profile WHERE customer_id = %s", [customer]
    ).fetchone()
    if profile is None:
        raise InputError(f"customer {customer} is not in the published profile; publish first")
    people = [
        {key: value if shown else masked(key, value) for key, value in row.items()}
        for row in db.execute(PERSONAL, [customer])
    ]
    sections = [_rows("Records", people)] if people else []
    sections += [_part(name, profile) for name in PARTS]
    for name, query in (
        ("Segment", SEGMENT),
        ("Scores", SCORES),
        ("Value in the next 365 days", VALUE),
        ("Recommendations", OFFERS),
    ):
        sections.append(_rows(name, db.execute(query, [customer]).fetchall()))
    changes = _changes(db.execute(KNOWN, [customer]).fetchall())
    changes += [
        {"when": row["at"].date(), "what": row["event"], "from": "", "to": row["reason"]}
        for row in db.execute(EVENTS, {"id": customer})
    ]
    changes.sort(key=lambda change: str(change["when"]), reverse=True)
    sections.append(_rows("What changed", changes[:MOST_CHANGES]))
    return Panel(Group(*sections), title=f"customer {customer}, as of {profile['as_of']}")


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


def _part(name: str, profile: dict[str, Any]) -> Table:
    columns = {column.name: column for column in contracts.load("mart.customer_profile").columns}
    rows = []
    for feature in PARTS[name]:
        if feature in columns and profile.get(feature) is not None:
            unit = columns[feature].unit
            said = f"{_said(profile[feature])} {unit}" if unit else _said(profile[feature])
            rows.append({"": feature, " ": said})
    return _rows(name, rows)


def _changes(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the published profiles said otherwise from one time to the next."""
    return [
        {"when": after["from_as_of"], "what": name, "from": before[name], "to": after[name]}
        for before, after in pairwise(known)
        for name in after
        if name not in {"customer_id", "from_as_of", "to_as_of"} and before[name] != after[name]
    ]


def _rows(title: str, rows: list[dict[str, Any]]) -> Table:
    """A titled table of rows with the same keys; columns without any value are left out."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2))
    named = [key for key in (rows[0] if rows else {}) if any(row[key] is not None for row in rows)]
    for key in named:
        table.add_column(key, style="dim" if key == "" else "")
    table.show_header = any(key.strip() for key in named)
    for row in rows:
        table.add_row(*(_said(row[key]) for key in named))
    if not rows:
        table.add_column("")
        table.show_header = False
        table.add_row("none")
    return table


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,.2f}" if hasattr(value, "quantize") else str(value)
