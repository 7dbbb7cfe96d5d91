"""Odoo: what lands of its tables, row by row, and how a change and a deletion arrive."""

import re
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from include import landing, sources
from tests.sources import crm

PAGE = Path(__file__).parents[2] / "docs" / "crms.md"
HELPDESK = """
    CREATE TABLE helpdesk_ticket_stage (
        id serial PRIMARY KEY, name jsonb, closed boolean, write_date timestamp);
    CREATE TABLE helpdesk_ticket (
        id serial PRIMARY KEY, number varchar, name varchar, description text, partner_id int,
        stage_id int, priority varchar, closed_date timestamp, active boolean,
        create_date timestamp, write_date timestamp)"""

OLD, NEW = "2024-01-05 10:00:00", "2024-03-01 12:00:00"


def people(db):
    crm.insert(db, "res_country", "id code write_date", (1, "BE", OLD), (2, "SE", None))
    crm.insert(db, "res_country_state", "id country_id name write_date", (1, 1, "Liège", NEW))
    crm.insert(db, "res_company", "id name partner_id", (1, "We", 1))
    crm.insert(
        db,
        "res_partner",
        "id name type parent_id is_company company_name active partner_share create_date "
        "write_date",
        (1, "We", "contact", None, True, None, True, True, OLD, OLD),
        (2, "Acme", "contact", None, True, None, True, True, OLD, OLD),
        (3, "Ann Dubois", "contact", 2, False, None, True, True, OLD, OLD),
        (4, "Ben Berg", "contact", None, None, "Berg AB", False, True, OLD, NEW),
        (5, "Dock 4", "delivery", 2, False, None, True, True, OLD, OLD),
        (6, "Our clerk", "contact", None, False, None, True, False, OLD, OLD),
        (7, None, None, None, None, None, None, True, None, None),
    )
    crm.fill(
        db,
        "res_partner",
        "id email email_normalized phone mobile lang city zip state_id country_id",
        (2, "a@Example.org", "a@example.org", "1", "2", "fr_BE", "Liège", "4000", 1, 1),
        (3, "Ann <ANN@ex.org>", "ann@ex.org", "", "0470", "fr_BE", None, None, None, 1),
        (4, "ben@ex.org", "ben@ex.org", None, None, "sv_SE", None, None, None, 2),
        (6, "clerk@ex.org", "clerk@ex.org", None, None, "en_US", None, None, None, None),
    )
    crm.insert(
        db,
        "mail_blacklist",
        "id email active create_date write_date",
        (1, "ann@ex.org", True, OLD, NEW),
        (2, "ben@ex.org", False, OLD, NEW),
    )


def shelf(db):
    crm.insert(
        db,
        "product_category",
        "id name complete_name write_date",
        (1, "Chairs", "Goods / Chairs", NEW),
    )
    names = [{"en_US": "Chair", "fr_BE": "Chaise"}, {"fr_BE": "Lampe"}, None]
    crm.insert(
        db,
        "product_template",
        "id name description_sale categ_id type list_price sale_ok active write_date",
        (1, Jsonb(names[0]), Jsonb({"en_US": "Oak"}), 1, "consu", "99.5", True, True, OLD),
        (2, Jsonb(names[1]), None, None, "service", "0", True, True, OLD),
        (3, names[2], None, None, None, None, None, None, None),
    )
    crm.insert(
        db,
        "product_product",
        "id product_tmpl_id default_code active write_date",
        (11, 1, "CH-1", True, OLD),
        (12, 1, "CH-2", False, OLD),
        (21, 2, None, True, None),
        (31, 3, None, None, None),
    )


def sales(db):
    crm.insert(db, "res_currency", "id name write_date", (1, "EUR", "2025-01-01"))
    crm.insert(
        db,
        "sale_order",
        "id name partner_id currency_id state invoice_status amount_total date_order write_date",
        (1, "S0001", 3, 1, "sale", "invoiced", "363.05", "2024-01-04 23:30:00", OLD),
        (2, "S0002", 2, 1, "draft", "no", "10", "2024-01-05 09:00:00", OLD),
        (3, "S0003", 4, None, "cancel", None, None, "2024-01-06 09:00:00", OLD),
        (4, "S0004", 4, 1, "done", None, "5", "2024-01-07 09:00:00", None),
        (5, "S0005", 4, 1, "waiting", None, "5", "2024-01-07 09:00:00", OLD),
        (6, "S0006", 4, 1, "sent", None, "5", None, OLD),
    )
    crm.insert(
        db,
        "sale_order_line",
        "id order_id sequence product_id display_type is_downpayment product_uom_qty price_unit "
        "discount price_subtotal write_date",
        (1, 1, 10, None, "line_section", None, 0, "0", "0", "0", OLD),
        (2, 1, 11, 11, None, False, 2, "100", "10", "180", OLD),  # before tax
        (3, 1, 12, 12, None, None, 1, "121", "0", "100", OLD),  # 21 % of tax in the price
        (4, 1, 13, 21, None, False, 3, "3.33", "0", "9.99", OLD),
        (5, 1, 14, None, "line_note", False, 0, "0", "0", "0", OLD),
        (6, 1, 15, 21, None, True, 0, "50", "0", "0", OLD),
        (7, 1, 16, 11, None, False, 1, "20", "100", "0", OLD),
        (8, 1, 17, 11, None, False, -1, "100", "0", "-100", NEW),
        (9, 2, 10, 21, None, False, 3, "3.335", None, "10.01", OLD),
        (10, 3, None, 21, None, None, 0, "7", "0", "0", OLD),
        (11, 4, 10, 21, None, None, 2, "5", "50", None, None),
    )


def ratings(db):
    crm.insert(
        db,
        "rating_rating",
        "id res_model res_id partner_id consumed rating feedback create_date write_date",
        (1, "helpdesk.ticket", 8, 3, True, 5, "Fast", OLD, NEW),
        (2, "project.task", 9, 3, False, 0, None, OLD, OLD),  # asked, not answered
        (3, "product.template", 2, 4, True, 3, None, OLD, OLD),
        (4, "product.template", 1, 4, True, 0, "No stars", OLD, OLD),  # of two variants
        (5, "product.template", 2, None, None, None, None, None, None),
    )


def filled(db):
    crm.create(db, "odoo")
    for fill in (people, shelf, sales, ratings):
        fill(db)
    return db


@pytest.fixture
def odoo(postgres):
    return filled(postgres)


@pytest.fixture(scope="module")
def landed(shared_postgres, shared_warehouse):
    """The warehouse after the first load."""
    filled(shared_postgres)
    crm.load("odoo", shared_warehouse)
    return shared_warehouse


LANDS = {
    "customer": (5, 0, 0, 0),
    "product": (3, 0, 0, 1),
    "customer_order": (4, 0, 0, 2),
    "order_line": (8, 0, 0, 0),
    "feedback": (3, 0, 0, 0),
    "consent": (3, 0, 0, 0),
}


def test_a_load_lands_every_row_once(odoo, warehouse):
    assert crm.load("odoo", warehouse) == LANDS
    assert crm.quarantined(warehouse) == [
        ("customer_order", "required", "ordered_at"),
        ("customer_order", "values", "status"),
        ("product", "required", "name"),
    ]
    before = crm.versions(warehouse, "odoo")
    assert crm.load("odoo", warehouse, "r2") == {}
    assert crm.versions(warehouse, "odoo") == before


def test_customers_are_neither_users_nor_the_own_company_and_an_archived_one_stays(landed):
    columns = "source_id, is_company, full_name, company, email, phone, pass_through ->> 'active'"
    assert crm.landed(landed, "customer", columns) == [
        ("2", True, None, "Acme", "a@Example.org", "1", "true"),
        ("3", False, "Ann Dubois", "Acme", "Ann <ANN@ex.org>", "0470", "true"),
        ("4", False, "Ben Berg", "Berg AB", "ben@ex.org", None, "false"),
        ("5", False, "Dock 4", "Acme", None, None, "true"),
        ("7", False, None, None, None, None, None),
    ]
    columns = "source_id, city, postal_code, region, country, language, signup_at, changed_at"
    assert crm.landed(landed, "customer", columns) == [
        ("2", "Liège", "4000", "Liège", "BE", "fr_BE", OLD, NEW),
        ("3", None, None, None, "BE", "fr_BE", OLD, OLD),
        ("4", None, None, None, "SE", "sv_SE", OLD, NEW),
        ("5", None, None, None, None, None, OLD, OLD),
        ("7", None, None, None, None, None, None, None),
    ]
    assert crm.deleted(landed, "customer") == []


def test_odoo_19_which_has_no_mobile_lands_too(odoo, warehouse):
    odoo.execute("ALTER TABLE res_partner DROP COLUMN mobile")
    crm.load("odoo", warehouse)
    phones = dict(crm.landed(warehouse, "customer", "source_id, phone"))
    assert phones == {"2": "1", "3": None, "4": None, "5": None, "7": None}


def test_products_are_variants_with_a_name_out_of_their_languages(landed):
    columns = "source_id, name, description, category, price, in_stock, changed_at"
    assert crm.landed(landed, "product", columns) == [
        ("11", "Chair", "Oak", "Goods / Chairs", "99.5", True, NEW),
        ("12", "Chair", "Oak", "Goods / Chairs", "99.5", False, NEW),
        ("21", "Lampe", None, None, "0", True, OLD),
    ]


def test_drafts_are_quotes(landed):
    columns = "source_id, customer_source_id, ordered_at, status, currency, total, changed_at"
    assert crm.landed(landed, "customer_order", columns) == [
        ("1", "3", "2024-01-04 23:30:00", "completed", "EUR", "363.05", OLD),
        ("2", "2", "2024-01-05 09:00:00", "quote", "EUR", "10", OLD),
        ("3", "4", "2024-01-06 09:00:00", "cancelled", None, None, OLD),
        ("4", "4", "2024-01-07 09:00:00", "completed", "EUR", "5", None),
    ]


def test_lines_are_goods_and_their_money_is_the_untaxed_amount(landed):
    money = "quantity, unit_price, discount, quantity * unit_price - discount"
    columns = f"source_id, order_source_id, customer_source_id, product_source_id, line_no, {money}"
    assert crm.landed(landed, "order_line", columns) == [
        ("10", "3", "4", "21", None, "0", "7", "0", "0"),
        ("11", "4", "4", "21", 10, "2", "5", "5", "5"),
        ("2", "1", "3", "11", 11, "2", "100", "20", "180"),
        ("3", "1", "3", "12", 12, "1", "100", "0", "100"),
        ("4", "1", "3", "21", 13, "3", "3.33", "0", "9.99"),
        ("7", "1", "3", "11", 16, "1", "20", "20", "0"),
        ("8", "1", "3", "11", 17, "-1", "100", "0", "-100"),
        ("9", "2", "2", "21", 10, "3", "3.336667", "0.000001", "10.01"),
    ]


def test_a_rating_counts_once_the_customer_has_answered(landed):
    columns = "source_id, customer_source_id, product_source_id, given_at, rating, text"
    assert crm.landed(landed, "feedback", columns) == [
        ("1", "3", None, NEW, "5", "Fast"),
        ("3", "4", "21", OLD, "3", None),
        ("4", "4", None, OLD, None, "No stars"),
    ]


def test_tickets_of_the_helpdesk_land_by_what_the_page_adds(odoo, warehouse, tmp_path):
    odoo.execute(HELPDESK)
    crm.insert(
        odoo, "helpdesk_ticket_stage", "id closed write_date", (1, False, OLD), (2, True, OLD)
    )
    crm.insert(
        odoo,
        "helpdesk_ticket",
        "id partner_id name description stage_id priority closed_date create_date write_date",
        (1, 3, "Chair", "<p>It&nbsp;broke</p>", 2, "1", NEW, OLD, NEW),
        (2, None, "Lamp", None, None, None, None, OLD, OLD),
    )
    (added,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "odoo.yaml").write_text((sources.HERE / "odoo.yaml").read_text() + added)
    landing.load(sources.load("odoo", tmp_path), "ticket", warehouse, run_id="r1")
    columns = "source_id, customer_source_id, opened_at, closed_at, priority, status, subject, body"
    assert crm.landed(warehouse, "ticket", columns) == [
        ("1", "3", OLD, NEW, "1", "closed", "Chair", "It broke"),
        ("2", None, OLD, None, None, "open", "Lamp", None),
    ]


def test_an_address_on_the_blacklist_is_a_refusal(landed):
    columns = "source_id, customer_source_id, purpose, granted, given_at, changed_at"
    assert crm.landed(landed, "consent", columns) == [
        ("2", "2", "marketing", True, OLD, OLD),
        ("3", "3", "marketing", False, NEW, NEW),
        ("4", "4", "marketing", True, NEW, NEW),
    ]


NOW = "write_date = now() AT TIME ZONE 'UTC'"
CHANGES = {
    "a new name of a company": (
        f"UPDATE res_partner SET name = 'Acme SA', {NOW} WHERE id = 2",
        {"customer": (0, 3, 0, 0), "consent": (0, 1, 0, 0)},
    ),
    "a partner who becomes a user": (
        f"UPDATE res_partner SET partner_share = false, {NOW} WHERE id = 4",
        {"customer": (0, 0, 1, 0), "consent": (0, 0, 1, 0)},
    ),
    "a deleted partner": ("DELETE FROM res_partner WHERE id = 5", {"customer": (0, 0, 1, 0)}),
    "a new price of the template": (
        f"UPDATE product_template SET list_price = 101, {NOW} WHERE id = 1",
        {"product": (0, 2, 0, 0)},
    ),
    "a confirmed quote": (
        f"UPDATE sale_order SET state = 'sale', date_order = '2024-02-01', {NOW} WHERE id = 2",
        {"customer_order": (0, 1, 0, 0), "order_line": (0, 1, 0, 0)},
    ),
    "a deleted line": ("DELETE FROM sale_order_line WHERE id = 3", {"order_line": (0, 0, 1, 0)}),
    "an answer to a rating": (
        f"UPDATE rating_rating SET consumed = true, rating = 4, {NOW} WHERE id = 2",
        {"feedback": (1, 0, 0, 0)},
    ),
    "an address off the blacklist": (
        f"UPDATE mail_blacklist SET active = false, {NOW} WHERE id = 1",
        {"consent": (0, 1, 0, 0)},
    ),
}


def test_every_change_arrives_wherever_it_is_joined(odoo, warehouse):
    crm.load("odoo", warehouse)
    for change, (statement, arrives) in CHANGES.items():
        odoo.execute(statement)
        assert (change, crm.load("odoo", warehouse, change)) == (change, arrives)


def test_what_has_not_changed_is_not_read_again(odoo, warehouse):
    crm.load("odoo", warehouse)
    odoo.execute(f"UPDATE res_partner SET {NOW} WHERE id = 5")
    undated = 1  # the row without a time is read every time
    assert crm.rows_read("odoo", "customer", warehouse) == 1 + undated
