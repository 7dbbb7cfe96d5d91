"""One customer, all of it, as a card in the terminal."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from include import connections
from include.errors import InputError
from include.local import postgres
from include.local.wording import LABELS, ONLY_IF_TRUE, PARTS, WRITTEN, masked, written

Row = dict[str, Any]
Database = psycopg.Connection[Row]

RULES = {
    "person_key": "shared id",
    "email": "e-mail",
    "confirmed": "a person's word",
    "probable": "likeness",
    "alone": "",
}
QUESTIONS = {
    "churn": "No purchase",
    "purchase": "A purchase",
    "high_value": "Among the best customers",
    "campaign": "An answer to a mail",
}
LISTS = {"explore": "New to them", "repeat": "To buy again"}

RECORDS = """SELECT source || ':' || source_id AS record,
        coalesce(full_name, nullif(concat_ws(' ', first_name, last_name), ''), company) AS name,
        email, phone, rule, probability
    FROM landing.customer JOIN core.identity USING (source, source_id)
    WHERE customer_id = %s AND deleted_at IS NULL ORDER BY record"""
SEGMENT = """SELECT c.segment_name, c.since, c.rfm_segment, s.suggested_action,
        coalesce(p.name, c.previous_segment_key) AS before
    FROM bi.customer_segment AS c LEFT JOIN bi.segment AS s USING (segment_key)
    LEFT JOIN bi.segment AS p ON p.segment_key = c.previous_segment_key
    WHERE c.customer_id = %s"""
SCORES = """SELECT model, score, decile, horizon_days, reason_1, reason_2, reason_3,
    ineligible_reason FROM bi.customer_score WHERE customer_id = %s ORDER BY model"""
VALUE = """SELECT expected_orders_365d, expected_revenue_365d, prob_alive
    FROM bi.customer_value WHERE customer_id = %s"""
OFFERS = """SELECT list, rank, product_name, reason
    FROM bi.recommendation WHERE customer_id = %s ORDER BY list, rank"""
PRODUCTS = """SELECT source || ':' || source_id AS product, name FROM landing.product
    WHERE source || ':' || source_id = ANY(%s) AND name IS NOT NULL"""
KNOWN = "SELECT * FROM bi.customer_profile_history WHERE customer_id = %s ORDER BY from_as_of"
EVENTS = """SELECT at, event, customer_id, other_customer_id, records, reason
    FROM core.identity_event WHERE %(id)s IN (customer_id, other_customer_id) ORDER BY at"""
MERGED = """SELECT other_customer_id FROM core.identity_event
    WHERE event = 'merged' AND customer_id = %s ORDER BY at DESC LIMIT 1"""
MOST_CHANGES = 8  # days
BIGGEST = 2**63


def portrait(home: Path, console: Console) -> None:
    """Print the card of CUSTOMER, a customer_id or ``source:source_id``.

    Names and addresses are masked unless PERSONAL=show.

    Raises
    ------
    InputError
        If there is nobody of that id, or nothing has been published.
    """
    if not os.environ.get(connections.variable("warehouse")):
        os.environ[connections.variable("warehouse")] = postgres.start(home).url()
    with connections.connect("warehouse") as db:
        db.row_factory = dict_row
        customer = _asked_for(db, os.environ.get("CUSTOMER", ""))
        console.print(card(db, customer, shown=os.environ.get("PERSONAL") == "show"))


def _asked_for(db: Database, asked: str) -> int:
    source, _, source_id = asked.partition(":")
    if not (source_id or asked.isdecimal()):
        raise InputError(
            f"CUSTOMER={asked}: give a customer_id, or source:source_id, as "
            "make portrait CUSTOMER=17"
        )
    there = db.execute("SELECT to_regclass('bi.customer_profile') IS NOT NULL AS is").fetchone()
    if not (there or {}).get("is"):
        raise InputError("portrait: nothing has been published yet; `make run` does it")
    if source_id:
        row = db.execute(
            "SELECT customer_id FROM bi.customer_key WHERE source = %s AND source_id = %s",
            [source, source_id],
        ).fetchone()
        if row is not None:
            return int(row["customer_id"])
    elif int(asked) < BIGGEST:
        return int(asked)
    raise _nobody(asked)


def _nobody(asked: object) -> InputError:
    return InputError(
        f"CUSTOMER={asked}: nobody of that id in the published generation; look into "
        "bi.customer_key, or publish first"
    )


def card(db: Database, customer: int, *, shown: bool) -> Panel:
    """The card of one customer; ``shown``: with names, e-mails and numbers in clear.

    Raises
    ------
    InputError
        If the customer is not in the published generation.
    """
    ask = db.execute
    profile = ask("SELECT * FROM bi.customer_profile WHERE customer_id = %s", [customer]).fetchone()
    if profile is None:
        merged = ask(MERGED, [customer]).fetchone()
        if merged is None:
            raise _nobody(customer)
        other = merged["other_customer_id"]
        raise InputError(
            f"CUSTOMER={customer}: now one person with {other}; ask for CUSTOMER={other}"
        )
    history = ask(KNOWN, [customer]).fetchall()
    products = _products(db, [profile, *history])
    value = ask(VALUE, [customer]).fetchone()
    sections: list[RenderableType] = [
        _segment(ask(SEGMENT, [customer]).fetchone()),
        _records(ask(RECORDS, [customer]).fetchall(), shown=shown),
        _parts(profile, products),
        _scores(ask(SCORES, [customer]).fetchall(), value),
        _offers(ask(OFFERS, [customer]).fetchall(), profile),
        _changes(history, ask(EVENTS, {"id": customer}).fetchall(), customer, products),
    ]
    return Panel(
        Group(*sections),
        title=f"[bold]Customer {customer}[/]",
        subtitle=f"as of {profile['as_of']}",
        padding=(1, 2),
    )


def _products(db: Database, profiles: list[Row]) -> dict[str, str]:
    """The names of the products that the profiles mention."""
    ids = {row[name] for row in profiles for name in LABELS if name.endswith("product_id")}
    return {row["product"]: row["name"] for row in db.execute(PRODUCTS, [list(ids - {None})])}


def _segment(row: Row | None) -> RenderableType:
    if row is None:
        return _plain("In no segment.")
    said = Text.assemble((_clean(row["segment_name"]), "bold green"))
    rfm = f", RFM group {row['rfm_segment']}" if row["rfm_segment"] else ""
    before = f", before: {row['before']}" if row["before"] else ""
    said.append(_clean(f"  since {row['since']}{before}{rfm}"), "dim")
    if row["suggested_action"]:
        said.append(f"\nTo do: {_clean(row['suggested_action'])}")
    return said


def _records(rows: list[Row], *, shown: bool) -> Table:
    table = _table("Records", "Record", "Name", "E-mail", "Phone", "Joined by")
    for row in rows:
        rule = RULES.get(row["rule"], row["rule"])
        sure = f"{rule}, {row['probability']:.0%}" if row["rule"] == "probable" else rule
        person = [
            row[key] if shown else masked(key, row[key]) for key in ("name", "email", "phone")
        ]
        _add(table, row["record"], *person, sure)
    if not shown:
        table.caption = Text("masked; PERSONAL=show shows them", "dim")
        table.caption_justify = "left"
    return table


def _parts(profile: Row, products: dict[str, str]) -> Table:
    """Two sections beside each other."""
    grid = Table.grid(expand=True, padding=(0, 2))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    names = list(PARTS)
    for pair in zip(names[::2], names[1::2], strict=True):
        grid.add_row(*(_part(name, profile, products) for name in pair))
    return grid


def _part(name: str, profile: Row, products: dict[str, str]) -> Table:
    table = _table(name, "", "")
    table.columns[0].style = "dim"
    for feature, label in PARTS[name].items():
        value = profile.get(feature)
        if value is not None and (value or feature not in ONLY_IF_TRUE):
            _add(table, label, written(feature, value, products))
    return table


def _scores(rows: list[Row], value: Row | None) -> Table:
    table = _table("What comes next", "", "Likely", "Tenth", "Because")
    for row in rows:
        kind, _, category = row["model"].partition(":")
        question = f"A purchase of {category}" if category else QUESTIONS.get(kind, kind)
        asked = f"{question} within {row['horizon_days']} days"
        reasons = [row[f"reason_{place}"] for place in (1, 2, 3) if row[f"reason_{place}"]] or ["–"]
        if row["score"] is None:
            _add(table, asked, "–", "–", row["ineligible_reason"])
        else:
            _add(table, asked, f"{row['score']:.0%}", f"{row['decile']} of 10", "\n".join(reasons))
    if value:
        orders, money = value["expected_orders_365d"], value["expected_revenue_365d"]
        said = f"{orders:.1f} orders, {WRITTEN['currency'](money)}"
        _add(table, "Still a customer", f"{value['prob_alive']:.0%}", "", f"In 365 days: {said}")
    return table


def _offers(rows: list[Row], profile: Row) -> Table:
    if not rows:
        table, no = _table("Recommendations", ""), profile.get("consent_personalisation") is False
        _add(table, "none: no consent to personal offers" if no else "none")
        return table
    table = _table("Recommendations", "", "", "Product", "Because")
    for row in rows:
        first = LISTS.get(row["list"], row["list"]) if row["rank"] == 1 else ""
        _add(table, first, row["rank"], row["product_name"], row["reason"])
    return table


def _changes(known: list[Row], events: list[Row], customer: int, products: dict[str, str]) -> Table:
    """What became of the customer, the newest first: a line a day, and one a merge or split."""
    lines = []
    for event in events:
        came = event["other_customer_id"] == customer
        other = event["customer_id"] if came else event["other_customer_id"]
        way = f"came from customer {other}" if came else f"went to customer {other}"
        count = f"{event['records']} record{'' if event['records'] == 1 else 's'}"
        rule = event["reason"].removeprefix("joined by ")
        why = f"joined by {RULES[rule]}" if rule in RULES else event["reason"]
        lines.append((event["at"].date(), f"{event['event']}: {count} {way}; {why}"))
    for before, after in pairwise(known):
        moved = [
            f"{label} {written(name, before[name], products)} → "
            f"{written(name, after[name], products)}"
            for name, label in LABELS.items()
            if name in after and before[name] != after[name]
        ]
        if moved:
            lines.append((after["from_as_of"], "; ".join(moved)))
    lines.sort(key=lambda line: line[0], reverse=True)
    table = _table("What changed", "", "")
    for day, said in lines[:MOST_CHANGES]:
        _add(table, day, said)
    if not lines:
        _add(table, "nothing", "since the first publish")
    return table


def _table(title: str, *headings: str) -> Table:
    return Table(
        *(Column(heading, overflow="fold") for heading in headings),  # nothing is cut off
        title=Text(f"\n{title}", "bold cyan"),
        title_justify="left",
        header_style="dim",
        show_header=any(headings),
        box=None,
        padding=(0, 2, 0, 0),
    )


def _add(table: Table, *cells: Any) -> None:
    table.add_row(*map(_plain, cells))


def _plain(cell: Any) -> Text:
    return Text(_clean(str("" if cell is None else cell)))


def _clean(said: str) -> str:
    """Without signs that steer a terminal: what a CRM holds may be anything."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in said)
