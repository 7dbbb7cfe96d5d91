"""Northwind and Chinook, sample shops as they are published, land whole and to the cent."""

from decimal import Decimal

import pytest

from tests.sources import crm

NORTHWIND_MONEY = """
    SELECT sum(round(unit_price::numeric, 2) * quantity),
           sum(round(unit_price::numeric, 2) * quantity * (1 - discount::numeric))
    FROM order_details"""
CHINOOK_MONEY = """
    SELECT sum("UnitPrice" * "Quantity"), (SELECT sum("Total") FROM "Invoice")
    FROM "InvoiceLine" """
LANDED_MONEY = """
    SELECT sum(quantity * unit_price), sum(quantity * unit_price - coalesce(discount, 0))
    FROM landing.order_line"""


@pytest.fixture
def northwind(postgres, shared_data):
    crm.restore(shared_data("northwind/northwind.sql"), postgres)
    return postgres


@pytest.fixture
def chinook(postgres, shared_data):
    crm.restore(shared_data("chinook/chinook.sql"), postgres)
    postgres.execute("RESET search_path")
    return postgres


def test_northwind_lands_whole_and_once(northwind, warehouse):
    assert crm.load("northwind", warehouse) == {
        "customer": (91, 0, 0, 0),
        "product": (77, 0, 0, 0),
        "customer_order": (830, 0, 0, 0),
        "order_line": (2155, 0, 0, 0),
    }
    before = crm.versions(warehouse, "northwind")
    assert crm.load("northwind", warehouse, "r2") == {}
    assert crm.versions(warehouse, "northwind") == before


def test_northwinds_money_is_that_of_its_own_sum(northwind, warehouse):
    crm.load("northwind", warehouse)
    said = northwind.execute(NORTHWIND_MONEY).fetchone()
    assert warehouse.execute(LANDED_MONEY).fetchone() == said
    assert [round(money, 2) for money in said] == [Decimal("1354458.59"), Decimal("1265793.04")]


def test_northwinds_share_off_is_landed_as_money_off(northwind, warehouse):
    crm.load("northwind", warehouse)
    columns = "source_id, order_source_id, customer_source_id, product_source_id, ordered_at"
    lines = crm.landed(warehouse, "order_line", f"{columns}, quantity, unit_price, discount")
    assert [line for line in lines if line[1] in {"10248", "10250"}] == [
        ("10248-11", "10248", "VINET", "11", "1996-07-04 00:00:00", "12", "14", "0"),
        ("10248-42", "10248", "VINET", "42", "1996-07-04 00:00:00", "10", "9.8", "0"),
        ("10248-72", "10248", "VINET", "72", "1996-07-04 00:00:00", "5", "34.8", "0"),
        ("10250-41", "10250", "HANAR", "41", "1996-07-08 00:00:00", "10", "7.7", "0"),
        ("10250-51", "10250", "HANAR", "51", "1996-07-08 00:00:00", "35", "42.4", "222.6"),
        ("10250-65", "10250", "HANAR", "65", "1996-07-08 00:00:00", "15", "16.8", "37.8"),
    ]


def test_northwinds_orders_are_open_until_shipped_and_its_products_have_categories(
    northwind, warehouse
):
    crm.load("northwind", warehouse)
    statuses = "SELECT status, count(*) FROM landing.customer_order GROUP BY 1 ORDER BY 1"
    assert warehouse.execute(statuses).fetchall() == [("completed", 809), ("open", 21)]
    products = crm.landed(warehouse, "product", "source_id, name, category, supplier, in_stock")
    assert [product for product in products if product[0] in {"1", "5"}] == [
        ("1", "Chai", "Beverages", "Specialty Biscuits, Ltd.", False),
        ("5", "Chef Anton's Gumbo Mix", "Condiments", "New Orleans Cajun Delights", False),
    ]


def test_a_change_and_a_delete_in_northwind_arrive(northwind, warehouse):
    crm.load("northwind", warehouse)
    northwind.execute("UPDATE orders SET shipped_date = '1998-05-09' WHERE order_id = 11077")
    northwind.execute("DELETE FROM order_details WHERE order_id = 11077 AND product_id = 2")
    assert crm.load("northwind", warehouse, "r2") == {
        "customer_order": (0, 1, 0, 0),
        "order_line": (0, 0, 1, 0),
    }
    assert crm.deleted(warehouse, "order_line") == ["11077-2"]


def test_chinook_lands_whole_and_once(chinook, warehouse):
    assert crm.load("chinook", warehouse) == {
        "customer": (59, 0, 0, 0),
        "product": (3503, 0, 0, 0),
        "customer_order": (412, 0, 0, 0),
        "order_line": (2240, 0, 0, 0),
    }
    before = crm.versions(warehouse, "chinook")
    assert crm.load("chinook", warehouse, "r2") == {}
    assert crm.versions(warehouse, "chinook") == before


def test_chinooks_money_is_that_of_its_own_sum(chinook, warehouse):
    crm.load("chinook", warehouse)
    said = chinook.execute(CHINOOK_MONEY).fetchone()
    assert warehouse.execute(LANDED_MONEY).fetchone() == said == (Decimal("2328.60"),) * 2


def test_chinooks_texts_land_as_they_are_lost_accents_included(chinook, warehouse):
    crm.load("chinook", warehouse)
    people = chinook.execute(
        'SELECT "CustomerId"::text, "FirstName", "LastName", "Email", "City" FROM "Customer"'
    )
    tracks = chinook.execute(
        """SELECT "TrackId"::text, t."Name", g."Name" FROM "Track" AS t
           JOIN "Genre" AS g USING ("GenreId")"""
    )
    landed = crm.landed(warehouse, "customer", "source_id, first_name, last_name, email, city")
    assert landed == sorted(people.fetchall())
    assert landed[0][1:3] == ("Lu\ufffds", "Gon\ufffdalves")
    assert crm.landed(warehouse, "product", "source_id, name, category") == sorted(
        tracks.fetchall()
    )
