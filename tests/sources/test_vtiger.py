"""Vtiger: what lands of its tables, row by row, and how a change and a deletion arrive."""

import pytest

from tests.sources import crm

OLD, NEW = "2024-01-05 10:00:00", "2024-03-01 12:00:00"
ZERO = "0000-00-00"


def records(db, module, *rows):
    """What vtiger_crmentity knows of each: number, when changed, whether deleted, text."""
    for crmid, changed, deleted, text in rows:
        crm.insert(
            db,
            "vtiger_crmentity",
            "crmid setype createdtime modifiedtime deleted description",
            (crmid, module, OLD, changed, deleted, text),
        )


def people(db):
    records(db, "Accounts", (1, NEW, 0, None), (2, OLD, 1, None), (3, OLD, 0, None))
    crm.insert(
        db,
        "vtiger_account",
        "accountid account_no accountname phone otherphone email1 emailoptout",
        (1, "ACC1", "Acme Ltd", "", "0113 4960000", "office@example.org", "0"),
        (2, "ACC2", "Gone Ltd", None, None, "", None),
        (3, "ACC3", "Bare Ltd", None, None, None, "1"),
    )
    crm.insert(
        db,
        "vtiger_accountbillads",
        "accountaddressid bill_city bill_code bill_country",
        (1, "Leeds", "LS1", "UK"),
    )
    records(db, "Contacts", (11, OLD, 0, None), (12, OLD, 0, None), (13, NEW, 1, None))
    crm.insert(
        db,
        "vtiger_contactdetails",
        "contactid contact_no accountid firstname lastname email phone mobile emailoptout",
        (11, "CON1", 1, "Ann", "O'Neill", "ann@example.org", "0113 4960001", "", "1"),
        (12, "CON2", 2, None, "Tab\tby", None, None, "0700 900000", ""),
        (13, "CON3", 0, "Cam", "Gone", None, None, None, None),
    )
    crm.insert(
        db,
        "vtiger_contactsubdetails",
        "contactsubscriptionid birthday homephone leadsource",
        (11, "1980-05-01", "0113 4960002", "Fair"),
        (12, ZERO, None, None),
    )
    crm.insert(
        db,
        "vtiger_contactaddress",
        "contactaddressid mailingcity mailingzip mailingcountry",
        (11, "York", "YO1", "UK"),
    )


def shelf(db):
    records(db, "Products", (21, OLD, 0, "Oak"), (22, OLD, 0, None), (23, NEW, 1, None))
    crm.insert(
        db,
        "vtiger_products",
        "productid product_no productname productcode productcategory manufacturer unit_price "
        "sales_start_date sales_end_date discontinued",
        (21, "PRO1", "Chair", "CH-1", "Hardware", "Ours", "99.50000000", "2024-01-01", ZERO, 1),
        (22, "PRO2", "Lamp", None, "", None, None, ZERO, "2024-06-30", 0),
        (23, "PRO3", "Bell", None, None, None, "5", None, None, 1),
    )
    records(db, "Services", (31, OLD, 0, "An hour"))
    crm.insert(
        db,
        "vtiger_service",
        "serviceid service_no servicename servicecategory unit_price discontinued",
        (31, "SER1", "Repair", "Support", "60", 1),
    )


def sales(db):
    crm.insert(db, "vtiger_currency_info", "id currency_code", (1, "GBP"))
    records(db, "SalesOrder", *((41 + n, OLD, 0, None) for n in range(4)), (45, NEW, 1, None))
    crm.insert(
        db,
        "vtiger_salesorder",
        "salesorderid salesorder_no contactid accountid sostatus currency_id total subtotal "
        "discount_percent discount_amount",
        (41, "SO1", 11, 1, "Delivered", 1, "300", "330", None, "30"),
        (42, "SO2", 0, 1, "Created", 1, "90", "100", "10", "0"),
        (43, "SO3", None, None, "Cancelled", 9, None, None, None, None),
        (44, "SO4", 11, 1, "In our own words", 1, "5", "5", None, None),
        (45, "SO5", 11, 1, "Approved", 1, "5", "5", None, None),
    )
    records(db, "Quotes", (51, OLD, 0, None))
    crm.insert(
        db,
        "vtiger_inventoryproductrel",
        "id productid sequence_no quantity listprice discount_percent discount_amount",
        (41, 21, 1, "2.000", "99.50000000", "10.000", None),
        (41, 31, 2, "1.500", "60", None, "5"),
        (41, 22, 3, "1", "61.15", "0", "0"),
        (42, 21, None, "1", "100", None, None),
        (45, 21, 1, "1", "5", None, None),  # of a deleted order
        (51, 21, 1, "9", "99.5", None, None),  # of a quote
    )


def service(db):
    records(
        db,
        "HelpDesk",
        (61, OLD, 0, "<div>It&nbsp;broke.<br>Help</div>"),
        (62, OLD, 0, None),
        (63, OLD, 0, ""),
        (64, OLD, 0, "x"),
        (65, NEW, 1, None),
    )
    crm.insert(
        db,
        "vtiger_troubletickets",
        "ticketid ticket_no parent_id contact_id product_id priority status category title",
        (61, "TT1", "1", 11, "21", "High", "Open", "Big Problem", "Chair"),
        (62, "TT2", "1", 0, "", "", "Wait For Response", "", "Lamp"),
        (63, "TT3", "12", None, "0", None, "Closed", None, "Old way"),
        (64, "TT4", "", None, None, None, "In our own words", None, "Odd"),
        (65, "TT5", "1", None, None, None, "Open", None, "Gone"),
    )


def filled(db):
    crm.create(db, "vtiger")
    for fill in (people, shelf, sales, service):
        fill(db)
    return db


@pytest.fixture
def vtiger(mariadb):
    return filled(mariadb)


@pytest.fixture(scope="module")
def landed(shared_mariadb, shared_warehouse):
    """The warehouse after the first load."""
    filled(shared_mariadb)
    crm.load("vtiger", shared_warehouse)
    return shared_warehouse


LANDS = {
    "customer": (6, 0, 0, 0),
    "product": (4, 0, 0, 0),
    "customer_order": (4, 0, 0, 1),
    "order_line": (4, 0, 0, 0),
    "ticket": (4, 0, 0, 1),
    "consent": (6, 0, 0, 0),
}


def test_a_load_lands_every_row_once(vtiger, warehouse):
    assert crm.load("vtiger", warehouse) == LANDS
    assert crm.quarantined(warehouse) == [
        ("customer_order", "values", "status"),
        ("ticket", "values", "status"),
    ]
    before = crm.versions(warehouse, "vtiger")
    assert crm.load("vtiger", warehouse, "r2") == {}
    assert crm.versions(warehouse, "vtiger") == before


def test_customers_are_contacts_and_accounts(landed):
    who = "source_id, is_company, first_name, last_name, company, email, phone"
    assert crm.landed(landed, "customer", who) == [
        ("account-1", True, None, None, "Acme Ltd", "office@example.org", "0113 4960000"),
        ("account-3", True, None, None, "Bare Ltd", None, None),
        ("contact-11", False, "Ann", "O'Neill", "Acme Ltd", "ann@example.org", "0113 4960001"),
        ("contact-12", False, None, "Tab\tby", None, None, "0700 900000"),
    ]
    columns = "source_id, birth_date::text, city, postal_code, country, signup_at, changed_at"
    assert crm.landed(landed, "customer", columns) == [
        ("account-1", None, "Leeds", "LS1", "UK", OLD, NEW),
        ("account-3", None, None, None, None, OLD, OLD),
        ("contact-11", "1980-05-01", "York", "YO1", "UK", OLD, NEW),
        ("contact-12", None, None, None, None, OLD, OLD),
    ]
    assert crm.deleted(landed, "customer") == ["account-2", "contact-13"]


def test_discontinued_means_that_it_is_sold(landed):
    columns = "source_id, name, description, category, brand, price, in_stock, available_from"
    assert crm.landed(landed, "product", f"{columns}, discontinued_at") == [
        ("21", "Chair", "Oak", "Hardware", "Ours", "99.5", True, "2024-01-01 00:00:00", None),
        ("22", "Lamp", None, None, None, None, False, None, "2024-06-30 00:00:00"),
        ("31", "Repair", "An hour", "Support", None, "60", True, None, None),
    ]
    assert crm.deleted(landed, "product") == ["23"]


def test_lines_are_those_of_orders_that_are_there(landed):
    orders = "source_id, customer_source_id, ordered_at, status, currency, total, discount"
    assert crm.landed(landed, "customer_order", orders) == [
        ("41", "contact-11", OLD, "completed", "GBP", "300", "30"),
        ("42", "account-1", OLD, "open", "GBP", "90", "10"),
        ("43", None, OLD, "cancelled", None, None, None),
    ]
    assert crm.deleted(landed, "customer_order") == ["45"]
    lines = "source_id, order_source_id, customer_source_id, product_source_id, line_no"
    assert crm.landed(landed, "order_line", f"{lines}, quantity, unit_price, discount") == [
        ("41-1", "41", "contact-11", "21", 1, "2", "99.5", "19.9"),
        ("41-2", "41", "contact-11", "31", 2, "1.5", "60", "5"),
        ("41-3", "41", "contact-11", "22", 3, "1", "61.15", "0"),
        ("42-item4", "42", "account-1", "21", None, "1", "100", None),
    ]


def test_tickets_belong_to_a_contact_or_an_account_and_their_text_is_plain(landed):
    columns = "source_id, customer_source_id, opened_at, kind, priority, status, product_source_id"
    assert crm.landed(landed, "ticket", f"{columns}, subject, body") == [
        ("61", "contact-11", OLD, "Big Problem", "High", "open", "21", "Chair", "It broke. Help"),
        ("62", "account-1", OLD, None, None, "waiting", None, "Lamp", None),
        ("63", "contact-12", OLD, None, None, "closed", None, "Old way", ""),
    ]
    assert crm.deleted(landed, "ticket") == ["65"]


def test_an_opt_out_is_a_refusal(landed):
    columns = "source_id, customer_source_id, purpose, granted, given_at"
    assert crm.landed(landed, "consent", columns) == [
        ("account-1", "account-1", "marketing", True, OLD),
        ("account-3", "account-3", "marketing", False, OLD),
        ("contact-11", "contact-11", "marketing", False, OLD),
        ("contact-12", "contact-12", "marketing", True, OLD),
    ]
    assert crm.deleted(landed, "consent") == ["account-2", "contact-13"]


TOUCH = "UPDATE vtiger_crmentity SET modifiedtime = UTC_TIMESTAMP()"
CHANGES = {
    "a new name of an account": (
        ["UPDATE vtiger_account SET accountname = 'Acme plc' WHERE accountid = 1"],
        f"{TOUCH} WHERE crmid = 1",
        {"customer": (0, 2, 0, 0), "consent": (0, 1, 0, 0)},
    ),
    "an order saved with a line less, its lines written anew": (
        [
            "DELETE FROM vtiger_inventoryproductrel WHERE id = 41",
            """INSERT INTO vtiger_inventoryproductrel
                   (id, productid, sequence_no, quantity, listprice, discount_percent)
               VALUES (41, 21, 1, 2, 99.5, 10), (41, 31, 2, 2, 60, NULL)""",
        ],
        f"{TOUCH} WHERE crmid = 41",
        {"customer_order": (0, 1, 0, 0), "order_line": (0, 2, 1, 0)},
    ),
    "a deleted order": (
        [],
        f"{TOUCH}, deleted = 1 WHERE crmid = 42",
        {"customer_order": (0, 1, 0, 0), "order_line": (0, 0, 1, 0)},
    ),
    "a ticket that is closed": (
        ["UPDATE vtiger_troubletickets SET status = 'Closed' WHERE ticketid = 61"],
        f"{TOUCH} WHERE crmid = 61",
        {"ticket": (0, 1, 0, 0)},
    ),
}


def test_every_change_arrives_wherever_it_is_joined(vtiger, warehouse):
    crm.load("vtiger", warehouse)
    for change, (statements, touch, arrives) in CHANGES.items():
        for statement in [*statements, touch]:
            vtiger.execute(statement)
        assert (change, crm.load("vtiger", warehouse, change)) == (change, arrives)


def test_what_has_not_changed_is_not_read_again(vtiger, warehouse):
    crm.load("vtiger", warehouse)
    vtiger.execute(f"{TOUCH} WHERE crmid = 12")
    assert crm.rows_read("vtiger", "customer", warehouse) == 1
