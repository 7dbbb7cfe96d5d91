"""SuiteCRM: what lands of its tables, row by row, and how a change and a deletion arrive."""

import pytest

from tests.sources import crm

STAMPS = "date_entered date_modified deleted"
OLD, NEW = "2024-01-05 10:00:00", "2024-03-01 12:00:00"
HTML = "<p>It&nbsp;broke:<br/>a &lt; b &amp;\n<b>c</b></p>"


def people(db):
    crm.insert(
        db,
        "accounts",
        f"id name {STAMPS} billing_address_city billing_address_country phone_office",
        ("a1", "Acme Ltd", OLD, OLD, 0, "Leeds", "UK", "+44 113 496 0000"),
        ("a2", "Second Ltd", OLD, OLD, 0, None, None, ""),
        ("a3", "Gone Ltd", OLD, NEW, 1, None, None, None),
        ("a4", None, None, None, None, None, None, None),
    )
    crm.insert(
        db,
        "contacts",
        f"id first_name last_name {STAMPS} phone_mobile phone_work birthdate primary_address_city",
        ("c1", "Ann", "O'Neill", OLD, OLD, 0, "", "+44 113 496 0001", "1980-05-01", "Leeds"),
        ("c2", "Ben", "Tab\tby", OLD, OLD, 0, "0151", None, "0000-00-00", None),
        ("c3", "Cam", "Gone", OLD, NEW, 1, None, None, None, None),
        ("c4", None, None, None, None, None, None, None, None, None),
        ("c5", "Dot", "李", OLD, OLD, 0, None, None, None, None),
    )
    crm.insert(
        db,
        "accounts_contacts",
        "id contact_id account_id date_modified deleted",
        ("l1", "c1", "a2", OLD, 0),
        ("l2", "c1", "a1", NEW, 0),
        ("l3", "c1", "a3", "2024-04-01 00:00:00", 1),
        ("l4", "c2", "a3", OLD, 0),
        ("l5", "c5", "a1", None, None),
    )


def addresses(db):
    crm.insert(
        db,
        "email_addresses",
        "id email_address opt_out date_created date_modified deleted",
        ("e1", "ann@example.org", 0, OLD, OLD, 0),
        ("e2", "ben@example.org", 0, OLD, OLD, 0),
        ("e3", "dot@example.org", 1, OLD, NEW, 0),
        ("e4", "dot.old@example.org", 0, OLD, OLD, 0),
        ("e5", "office@example.org", None, None, OLD, None),
        ("e6", "nobody@example.org", 0, OLD, OLD, 1),
    )
    crm.insert(
        db,
        "email_addr_bean_rel",
        "id email_address_id bean_id bean_module primary_address date_created date_modified "
        "deleted",
        ("r1", "e1", "c1", "Contacts", 1, OLD, OLD, 0),
        ("r2", "e2", "c2", "Contacts", 1, OLD, NEW, 1),
        ("r3", "e3", "c5", "Contacts", 1, OLD, OLD, 0),
        ("r4", "e4", "c5", "Contacts", 0, OLD, NEW, 0),
        ("r5", "e5", "a1", "Accounts", 1, None, None, None),
        ("r6", "e6", "a2", "Accounts", 1, OLD, OLD, 0),
        ("r7", "e1", "u1", "Users", 1, OLD, OLD, 0),
    )


def shop(db):
    crm.insert(db, "currencies", "id name iso4217 deleted", ("gbp", "Pound", "GBP", 0))
    crm.insert(
        db,
        "aos_product_categories",
        "id name date_modified deleted",
        ("k1", "Bikes", NEW, 0),
        ("k2", "Old", OLD, 1),
    )
    crm.insert(
        db,
        "aos_products",
        f"id name {STAMPS} part_number cost currency_id price aos_product_category_id",
        ("p1", "City bike", OLD, OLD, 0, "CB-1", "300", "gbp", "499.99", "k1"),
        ("p2", "Lamp", OLD, OLD, 0, None, None, "-99", "19.9", "k2"),
        ("p3", "Bell", OLD, NEW, 1, None, None, None, None, None),
        ("p4", None, OLD, OLD, 0, None, None, None, "1", None),
    )
    crm.insert(
        db,
        "aos_invoices",
        f"id number {STAMPS} billing_contact_id billing_account_id invoice_date status "
        "total_amount discount_amount currency_id",
        ("i1", 1, OLD, OLD, 0, "c1", "a1", "2024-01-04", "Paid", "1079.98", "-100", "gbp"),
        ("i2", 2, OLD, OLD, 0, "", "a1", None, "Unpaid", "20", None, "-99"),
        ("i3", 3, OLD, OLD, 0, None, None, "0000-00-00", "Cancelled", None, None, None),
        ("i4", 4, OLD, NEW, 1, "c1", None, "2024-01-06", "Paid", "5", None, None),
        ("i5", 5, OLD, OLD, 0, "c1", None, "2024-01-07", "Proforma", "5", None, None),
        ("i6", 6, OLD, OLD, None, "c5", None, "2024-01-08", "", "0", None, None),
    )
    crm.insert(
        db,
        "aos_products_quotes",
        f"id parent_type parent_id {STAMPS} product_id number product_qty product_list_price "
        "product_discount product_discount_amount product_unit_price",
        ("n1", "AOS_Invoices", "i1", OLD, OLD, 0, "p1", 1, "2", "499.99", "10", "-50", "449.99"),
        ("n2", "AOS_Invoices", "i1", OLD, OLD, 0, "0", 2, None, "180", None, "0", "180"),
        ("n3", "AOS_Invoices", "i2", OLD, OLD, 0, "", 1, "0", "20", None, None, None),
        ("n4", "AOS_Invoices", "i2", OLD, NEW, 1, "p2", 2, "1", "19.9", None, None, "19.9"),
        ("n5", "AOS_Quotes", "q1", OLD, OLD, 0, "p1", 1, "9", "499.99", None, None, "499.99"),
        ("n6", "AOS_Invoices", "gone", OLD, OLD, 0, "p2", None, "0.5", "19.9", None, None, "19.9"),
        ("n7", "AOS_Invoices", "i6", OLD, OLD, 0, "p2", 1, "1", None, None, None, None),
    )


def service(db):
    crm.insert(
        db,
        "cases",
        f"id name {STAMPS} description type status state priority account_id contact_created_by_id",
        ("t1", "Bell", OLD, OLD, 0, HTML, "Product", "Open_New", "Open", "P1", "a1", "c1"),
        ("t2", "", OLD, OLD, 0, None, "", "Open_Pending Input", "Open", "", "a1", ""),
        ("t3", "Old", OLD, OLD, 0, "", None, "Rejected", None, None, None, None),
        ("t4", "Late", OLD, OLD, 0, "x", None, "Own word", "Closed", None, "", None),
        ("t5", "Gone", OLD, NEW, 1, "x", None, "Open_Assigned", "Open", None, None, None),
    )
    crm.insert(
        db,
        "aop_case_updates",
        f"id case_id {STAMPS} contact_id internal",
        ("u1", "t1", "2024-01-05 10:01:00", OLD, 0, "c1", 0),
        ("u2", "t1", "2024-01-05 10:02:00", OLD, 0, "", 1),
        ("u3", "t1", "2024-01-05 10:03:00", OLD, 1, None, 0),
        ("u4", "t1", "2024-01-05 10:30:00", NEW, 0, None, None),
    )
    crm.insert(
        db,
        "surveyquestions",
        "id name type date_modified",
        ("q1", "How was it?", "Rating", OLD),
        ("q2", "Again?", "Scale", OLD),
        ("q3", "Why?", "Textbox", None),
        ("q4", "Sure?", "Checkbox", OLD),
    )
    crm.insert(
        db,
        "surveyresponses",
        f"id {STAMPS} happiness contact_id account_id survey_id",
        ("s1", OLD, OLD, 0, -1, "c1", "a1", "v1"),
        ("s2", OLD, NEW, 1, 0, "", "a1", "v1"),
    )
    crm.insert(
        db,
        "surveyquestionresponses",
        f"id {STAMPS} answer surveyquestion_id surveyresponse_id",
        ("f1", OLD, OLD, 0, "4", "q1", "s1"),
        ("f2", OLD, OLD, 0, "7", "q2", "s1"),
        ("f3", OLD, OLD, 0, "Fast & friendly", "q3", "s1"),
        ("f4", OLD, OLD, 0, None, "q4", "s1"),
        ("f5", OLD, OLD, 0, "", "q1", "s1"),
        ("f6", OLD, OLD, 0, "1", "q1", "s2"),
    )


def filled(db):
    crm.create(db, "suitecrm")
    for fill in (people, addresses, shop, service):
        fill(db)
    return db


@pytest.fixture
def suitecrm(mariadb):
    return filled(mariadb)


@pytest.fixture(scope="module")
def landed(shared_mariadb, shared_warehouse):
    """The warehouse after the first load."""
    filled(shared_mariadb)
    crm.load("suitecrm", shared_warehouse)
    return shared_warehouse


LANDS = {
    "customer": (9, 0, 0, 0),
    "product": (4, 0, 0, 1),
    "customer_order": (5, 0, 0, 1),
    "order_line": (5, 0, 0, 1),
    "ticket": (5, 0, 0, 0),
    "feedback": (4, 0, 0, 0),
    "consent": (6, 0, 0, 0),
}
SET_ASIDE = [
    ("customer_order", "values", "status"),
    ("order_line", "required", "unit_price"),
    ("product", "required", "name"),
]


def test_a_load_lands_every_row_once(suitecrm, warehouse):
    assert crm.load("suitecrm", warehouse) == LANDS
    assert crm.quarantined(warehouse) == SET_ASIDE
    before = crm.versions(warehouse, "suitecrm")
    assert crm.load("suitecrm", warehouse, "r2") == {}
    assert crm.versions(warehouse, "suitecrm") == before


def test_customers_have_the_newest_live_account_and_address(landed):
    who = "source_id, is_company, first_name, last_name, company, email, phone"
    assert crm.landed(landed, "customer", who) == [
        ("account-a1", True, None, None, "Acme Ltd", "office@example.org", "+44 113 496 0000"),
        ("account-a2", True, None, None, "Second Ltd", None, None),
        ("account-a4", True, None, None, None, None, None),
        ("contact-c1", False, "Ann", "O'Neill", "Acme Ltd", "ann@example.org", "+44 113 496 0001"),
        ("contact-c2", False, "Ben", "Tab\tby", None, None, "0151"),
        ("contact-c4", False, None, None, None, None, None),
        ("contact-c5", False, "Dot", "李", "Acme Ltd", "dot@example.org", None),
    ]
    columns = "source_id, birth_date::text, city, country, signup_at, changed_at"
    assert crm.landed(landed, "customer", columns) == [
        ("account-a1", None, "Leeds", "UK", OLD, OLD),
        ("account-a2", None, None, None, OLD, OLD),
        ("account-a4", None, None, None, None, None),
        ("contact-c1", "1980-05-01", "Leeds", None, OLD, "2024-04-01 00:00:00"),
        ("contact-c2", None, None, None, OLD, NEW),
        ("contact-c4", None, None, None, None, None),
        ("contact-c5", None, None, None, OLD, NEW),
    ]
    assert crm.deleted(landed, "customer") == ["account-a3", "contact-c3"]


def test_products_have_the_name_of_a_live_category(landed):
    columns = "source_id, name, category, price, cost, currency, is_product, changed_at"
    assert crm.landed(landed, "product", columns) == [
        ("p1", "City bike", "Bikes", "499.99", "300", "GBP", True, NEW),
        ("p2", "Lamp", None, "19.9", None, None, True, OLD),
        ("service", "Service", None, None, None, None, False, None),
    ]
    assert crm.deleted(landed, "product") == ["p3"]


def test_invoices_are_orders_and_quotes_are_not(landed):
    orders = "source_id, customer_source_id, ordered_at, status, currency, total, discount"
    assert crm.landed(landed, "customer_order", orders) == [
        ("i1", "contact-c1", "2024-01-04 00:00:00", "completed", "GBP", "1079.98", None),
        ("i2", "account-a1", OLD, "open", None, "20", None),
        ("i3", None, OLD, "cancelled", None, None, None),
        ("i6", "contact-c5", "2024-01-08 00:00:00", None, None, "0", None),
    ]
    assert crm.deleted(landed, "customer_order") == ["i4"]
    lines = "source_id, order_source_id, customer_source_id, product_source_id, line_no, ordered_at"
    assert crm.landed(landed, "order_line", f"{lines}, quantity, unit_price, discount") == [
        ("n1", "i1", "contact-c1", "p1", 1, "2024-01-04 00:00:00", "2", "449.99", None),
        ("n2", "i1", "contact-c1", "service", 2, "2024-01-04 00:00:00", "1", "180", None),
        ("n3", "i2", "account-a1", "service", 1, OLD, "1", "20", None),
        ("n6", "gone", None, "p2", None, OLD, "0.5", "19.9", None),
    ]
    assert crm.deleted(landed, "order_line") == ["n4"]


def test_tickets_are_answered_by_staff_in_public_and_their_text_is_plain(landed):
    columns = "source_id, customer_source_id, opened_at, first_answer_at, kind, priority, status"
    assert crm.landed(landed, "ticket", columns) == [
        ("t1", "contact-c1", OLD, "2024-01-05 10:30:00", "Product", "P1", "open"),
        ("t2", "account-a1", OLD, None, None, None, "waiting"),
        ("t3", None, OLD, None, None, None, "closed"),
        ("t4", None, OLD, None, None, None, "closed"),
    ]
    assert crm.landed(landed, "ticket", "source_id, subject, body") == [
        ("t1", "Bell", "It broke: a < b &\n c"),
        ("t2", "", None),
        ("t3", "Old", ""),
        ("t4", "Late", "x"),
    ]
    assert crm.deleted(landed, "ticket") == ["t5"]


def test_survey_answers_are_feedback_on_one_scale(landed):
    columns = "source_id, customer_source_id, given_at, rating, text, pass_through ->> 'question'"
    assert crm.landed(landed, "feedback", columns) == [
        ("f1", "contact-c1", OLD, "4", None, "How was it?"),
        ("f2", "contact-c1", OLD, "3.5", None, "Again?"),
        ("f3", "contact-c1", OLD, None, "Fast & friendly", "Why?"),
    ]
    assert crm.deleted(landed, "feedback") == ["f6"]


def test_an_opt_out_of_the_first_address_is_a_refusal(landed):
    columns = "source_id, customer_source_id, purpose, granted, given_at"
    assert crm.landed(landed, "consent", columns) == [
        ("r1", "contact-c1", "marketing", True, OLD),
        ("r3", "contact-c5", "marketing", False, OLD),
        ("r5", "account-a1", "marketing", True, OLD),
    ]
    assert crm.deleted(landed, "consent") == ["r2", "r4", "r6"]


CHANGES = {
    "an opt-out": (
        "UPDATE email_addresses SET opt_out = 1, date_modified = UTC_TIMESTAMP() WHERE id = 'e1'",
        {"customer": (0, 1, 0, 0), "consent": (0, 1, 0, 0)},
    ),
    "a new name of an account": (
        "UPDATE accounts SET name = 'Acme plc', date_modified = UTC_TIMESTAMP() WHERE id = 'a1'",
        {"customer": (0, 3, 0, 0)},
    ),
    "a link to an account that is taken away": (
        "UPDATE accounts_contacts SET deleted = 1, date_modified = UTC_TIMESTAMP() WHERE id = 'l2'",
        {"customer": (0, 1, 0, 0)},
    ),
    "an invoice that moves to another day": (
        """UPDATE aos_invoices SET invoice_date = '2024-01-03', date_modified = UTC_TIMESTAMP()
           WHERE id = 'i1'""",
        {"customer_order": (0, 1, 0, 0), "order_line": (0, 2, 0, 0)},
    ),
    "an answer to a ticket": (
        """INSERT INTO aop_case_updates (id, case_id, date_entered, date_modified)
           VALUES ('u9', 't4', UTC_TIMESTAMP(), UTC_TIMESTAMP())""",
        {"ticket": (0, 1, 0, 0)},
    ),
    "a deleted line": (
        """UPDATE aos_products_quotes SET deleted = 1, date_modified = UTC_TIMESTAMP()
           WHERE id = 'n1'""",
        {"order_line": (0, 1, 0, 0)},
    ),
}


def test_every_change_arrives_wherever_it_is_joined(suitecrm, warehouse):
    crm.load("suitecrm", warehouse)
    for change, (statement, arrives) in CHANGES.items():
        suitecrm.execute(statement)
        assert (change, crm.load("suitecrm", warehouse, change)) == (change, arrives)


def test_what_has_not_changed_is_not_read_again(suitecrm, warehouse):
    crm.load("suitecrm", warehouse)
    suitecrm.execute("UPDATE contacts SET date_modified = UTC_TIMESTAMP() WHERE id = 'c1'")
    undated = 2  # the rows without a time are read every time
    assert crm.rows_read("suitecrm", "customer", warehouse) == 1 + undated
