"""EspoCRM: what lands of its tables, row by row, and how a change and a deletion arrive."""

import pytest

from tests.sources import crm

OLD, NEW = "2024-01-05 10:00:00", "2024-03-01 12:00:00"
STAMPS = "created_at modified_at deleted"


def people(db):
    crm.insert(
        db,
        "account",
        f"id name {STAMPS} billing_address_city billing_address_postal_code",
        ("a1", "Acme Ltd", OLD, NEW, 0, "Leeds", "LS1"),
        ("a2", "Gone Ltd", OLD, OLD, 1, None, None),
        ("a3", None, None, None, 0, None, None),
    )
    crm.insert(
        db,
        "contact",
        f"id first_name last_name {STAMPS} account_id address_city",
        ("c1", "Ann", "O'Neill", OLD, OLD, 0, "a1", "York"),
        ("c2", None, "Tab\tby", OLD, OLD, 0, "a2", None),
        ("c3", "Cam", "Gone", OLD, NEW, 1, None, None),
        ("c4", None, None, None, None, None, "", None),
    )
    crm.insert(
        db,
        "email_address",
        "id name lower opt_out deleted",
        ("e1", "Ann@example.org", "ann@example.org", 0, 0),
        ("e2", "ann.old@example.org", "ann.old@example.org", 1, 0),
        ("e3", "ben@example.org", "ben@example.org", 0, 0),
        ("e4", "office@example.org", "office@example.org", 0, 0),
        ("e5", "cam@example.org", "cam@example.org", 0, 0),
        ("e6", "lost@example.org", "lost@example.org", 1, 1),
    )
    crm.insert(
        db,
        "entity_email_address",
        "entity_type entity_id email_address_id primary deleted",
        ("Contact", "c1", "e2", 0, 0),
        ("Contact", "c1", "e1", 1, 0),
        ("Contact", "c2", "e3", 1, 1),
        ("Account", "a1", "e4", None, None),
        ("Account", "a1", "e6", 1, 0),
        ("Contact", "c3", "e5", 1, 0),
        ("User", "u1", "e3", 1, 0),
    )
    crm.insert(db, "phone_number", "id name deleted", ("n1", "+44 113 496 0000", 0))
    crm.insert(
        db,
        "entity_phone_number",
        "entity_type entity_id phone_number_id primary deleted",
        ("Contact", "c1", "n1", 1, 0),
        ("Account", "a1", "n1", 0, 0),
        ("Contact", "c2", "n1", 1, 1),
    )


def deals(db):
    crm.insert(
        db,
        "opportunity",
        f"id name {STAMPS} amount amount_currency stage close_date account_id contact_id",
        ("o1", "Chairs", OLD, OLD, 0, 1234.56, "EUR", "Closed Won", "2024-01-09", "a1", "c1"),
        ("o2", "Lamps", OLD, OLD, 0, 0.1, "EUR", "Negotiation", "2031-01-01", "a1", ""),
        ("o3", "Bells", OLD, OLD, 0, None, None, "Closed Lost", None, None, None),
        ("o4", "Gone", OLD, NEW, 1, 5, "EUR", "Closed Won", "2024-01-09", "a1", None),
        ("o5", None, OLD, OLD, None, None, None, "Closed Won", None, "a1", None),
        ("o6", None, None, None, 0, 7, None, None, None, None, None),
    )
    crm.insert(
        db,
        "case",
        f"id name {STAMPS} status priority type description account_id contact_id",
        ("t1", "Chair", OLD, OLD, 0, "New", "Normal", "Incident", "<p>a &lt; b</p>", "a1", "c1"),
        ("t2", "Lamp", OLD, OLD, 0, "Pending", None, "", None, "a1", None),
        ("t3", None, OLD, OLD, 0, "Duplicate", None, None, "", None, None),
        ("t4", "Gone", OLD, NEW, 1, "Assigned", None, None, None, None, None),
        ("t5", "Odd", OLD, OLD, 0, "In our own words", None, None, None, None, None),
    )


def filled(db):
    crm.create(db, "espocrm")
    for fill in (people, deals):
        fill(db)
    return db


@pytest.fixture
def espocrm(mariadb):
    return filled(mariadb)


@pytest.fixture(scope="module")
def landed(shared_mariadb, shared_warehouse):
    """The warehouse after the first load."""
    filled(shared_mariadb)
    crm.load("espocrm", shared_warehouse)
    return shared_warehouse


LANDS = {
    "customer": (7, 0, 0, 0),
    "product": (1, 0, 0, 0),
    "customer_order": (5, 0, 0, 1),
    "order_line": (5, 0, 0, 1),
    "ticket": (4, 0, 0, 1),
    "consent": (2, 0, 0, 0),
}


def test_a_load_lands_every_row_once(espocrm, warehouse):
    assert crm.load("espocrm", warehouse) == LANDS
    assert crm.quarantined(warehouse) == [
        ("customer_order", "required", "ordered_at"),
        ("order_line", "required", "ordered_at"),
        ("ticket", "values", "status"),
    ]
    before = crm.versions(warehouse, "espocrm")
    assert crm.load("espocrm", warehouse, "r2") == {}
    assert crm.versions(warehouse, "espocrm") == before


def test_customers_have_their_primary_address_and_number(landed):
    who = "source_id, is_company, first_name, last_name, company, email, phone"
    phone = "+44 113 496 0000"
    assert crm.landed(landed, "customer", who) == [
        ("account-a1", True, None, None, "Acme Ltd", "office@example.org", phone),
        ("account-a3", True, None, None, None, None, None),
        ("contact-c1", False, "Ann", "O'Neill", "Acme Ltd", "Ann@example.org", phone),
        ("contact-c2", False, None, "Tab\tby", None, None, None),
        ("contact-c4", False, None, None, None, None, None),
    ]
    columns = "source_id, city, postal_code, signup_at, changed_at"
    assert crm.landed(landed, "customer", columns) == [
        ("account-a1", "Leeds", "LS1", OLD, NEW),
        ("account-a3", None, None, None, None),
        ("contact-c1", "York", None, OLD, NEW),
        ("contact-c2", None, None, OLD, OLD),
        ("contact-c4", None, None, None, None),
    ]
    assert crm.deleted(landed, "customer") == ["account-a2", "contact-c3"]


def test_a_won_opportunity_is_an_order_of_one_line_and_an_open_one_a_quote(landed):
    orders = "source_id, customer_source_id, ordered_at, status, currency, total"
    assert crm.landed(landed, "customer_order", orders) == [
        ("o1", "contact-c1", "2024-01-09 00:00:00", "completed", "EUR", "1234.56"),
        ("o2", "account-a1", OLD, "quote", "EUR", "0.1"),
        ("o3", None, OLD, "cancelled", None, None),
        ("o5", "account-a1", OLD, "completed", None, None),
    ]
    assert crm.deleted(landed, "customer_order") == ["o4"]
    lines = "source_id, order_source_id, customer_source_id, product_source_id"
    assert crm.landed(landed, "order_line", f"{lines}, quantity, unit_price") == [
        ("o1", "o1", "contact-c1", "opportunity", "1", "1234.56"),
        ("o2", "o2", "account-a1", "opportunity", "1", "0.1"),
        ("o3", "o3", None, "opportunity", "1", "0"),
        ("o5", "o5", "account-a1", "opportunity", "1", "0"),
    ]
    products = crm.landed(landed, "product", "source_id, name, is_product")
    assert products == [("opportunity", "Opportunity", False)]


def test_cases_are_tickets(landed):
    columns = "source_id, customer_source_id, opened_at, kind, priority, status, subject, body"
    assert crm.landed(landed, "ticket", columns) == [
        ("t1", "contact-c1", OLD, "Incident", "Normal", "open", "Chair", "a < b"),
        ("t2", "account-a1", OLD, None, None, "waiting", "Lamp", None),
        ("t3", None, OLD, None, None, "closed", None, ""),
    ]
    assert crm.deleted(landed, "ticket") == ["t4"]


def test_an_opt_out_of_any_live_address_is_a_refusal(landed):
    columns = "source_id, customer_source_id, purpose, granted, given_at"
    assert crm.landed(landed, "consent", columns) == [
        ("account-a1", "account-a1", "marketing", True, OLD),
        ("contact-c1", "contact-c1", "marketing", False, OLD),
    ]


NOW = "modified_at = UTC_TIMESTAMP()"
CHANGES = {
    "an opt-out, which leaves no time": (
        "UPDATE email_address SET opt_out = 1 WHERE id = 'e4'",
        {"consent": (0, 1, 0, 0)},
    ),
    "a link to an address that is taken away": (
        "UPDATE entity_email_address SET deleted = 1 WHERE entity_id = 'a1'",
        {"consent": (0, 0, 1, 0)},
    ),
    "a new name of an account": (
        f"UPDATE account SET name = 'Acme plc', {NOW} WHERE id = 'a1'",
        {"customer": (0, 2, 0, 0)},
    ),
    "an opportunity that is won": (
        f"""UPDATE opportunity SET stage = 'Closed Won', close_date = '2024-02-01', {NOW}
            WHERE id = 'o2'""",
        {"customer_order": (0, 1, 0, 0), "order_line": (0, 1, 0, 0)},
    ),
    "a deleted contact": (
        f"UPDATE contact SET deleted = 1, {NOW} WHERE id = 'c1'",
        {"customer": (0, 1, 0, 0), "consent": (0, 0, 1, 0)},
    ),
    "a case that is closed": (
        f"UPDATE `case` SET status = 'Closed', {NOW} WHERE id = 't1'",
        {"ticket": (0, 1, 0, 0)},
    ),
}


def test_every_change_arrives_wherever_it_is_joined(espocrm, warehouse):
    crm.load("espocrm", warehouse)
    for change, (statement, arrives) in CHANGES.items():
        espocrm.execute(statement)
        assert (change, crm.load("espocrm", warehouse, change)) == (change, arrives)


def test_what_has_not_changed_is_not_read_again(espocrm, warehouse):
    crm.load("espocrm", warehouse)
    espocrm.execute(f"UPDATE contact SET {NOW} WHERE id = 'c2'")
    undated = 2  # the rows without a time are read every time
    assert crm.rows_read("espocrm", "customer", warehouse) == 1 + undated
