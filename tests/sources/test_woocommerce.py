"""WooCommerce: what lands of its tables, row by row, and how a change and a deletion arrive."""

import pytest

from tests.sources import crm

OLD, NEW = "2024-01-05 10:00:00", "2024-03-01 12:00:00"
ZERO = "0000-00-00 00:00:00"


def people(db):
    db.execute("SET SESSION time_zone = 'SYSTEM'")  # as WordPress leaves it
    crm.insert(
        db,
        "wp_wc_customer_lookup",
        "customer_id user_id first_name last_name email date_registered country city state "
        "postcode",
        (1, 7, "Ann", "O'Neill", "a@ex.org", "2023-12-01 08:30:00", "GB", "Leeds", "", "LS1"),
        (2, None, "Ben", "Guest", "ben@ex.org", None, "DE", "", "BE", ""),
        (3, None, "", "", None, None, "", "", "", ""),
        (4, None, "Ann", "O'Neill", "a@ex.org", None, "GB", "Leeds", "", "LS1"),
    )


def shelf(db):
    posts = (
        "ID post_type post_status post_title post_excerpt post_content post_date_gmt post_parent"
    )
    crm.insert(
        db,
        "wp_posts",
        posts,
        (11, "product", "publish", "Chair", "<p>Oak&nbsp;&amp; ash</p>", "", OLD, 0),
        (12, "product_variation", "publish", "Chair - Red", "", "", OLD, 11),
        (13, "product", "draft", "Lamp", "", "", ZERO, 0),
        (14, "product", "trash", "Bell", "", "", OLD, 0),
        (15, "product", "publish", "Pump", "", "", OLD, 0),
        (16, "page", "publish", "About us", "", "", OLD, 0),
    )
    crm.insert(
        db,
        "wp_wc_product_meta_lookup",
        "product_id sku min_price max_price stock_status",
        (11, "CH", "89.5000", "99.5000", "onbackorder"),
        (12, "CH-R", "99.5000", "99.5000", "instock"),
        (15, "", None, None, "outofstock"),
    )
    crm.insert(db, "wp_terms", "term_id name", (1, "Seats"), (2, "Furniture"), (3, "sale"))
    crm.insert(
        db,
        "wp_term_taxonomy",
        "term_taxonomy_id term_id taxonomy",
        (21, 1, "product_cat"),
        (22, 2, "product_cat"),
        (23, 3, "product_tag"),
    )
    crm.insert(
        db,
        "wp_term_relationships",
        "object_id term_taxonomy_id",
        *((11, 21), (11, 22), (11, 23), (15, 23)),
    )


def sales(db):
    crm.insert(
        db,
        "wp_wc_orders",
        "id type status currency total_amount customer_id parent_order_id date_created_gmt "
        "date_updated_gmt",
        (101, "shop_order", "wc-completed", "EUR", "236.81000000", 7, 0, OLD, OLD),
        (102, "shop_order", "wc-processing", "EUR", "10", 0, 0, OLD, OLD),
        (103, "shop_order_refund", "wc-completed", "EUR", "-107.00", 0, 101, NEW, NEW),
        (104, "shop_order", "trash", "EUR", "5", 7, 0, OLD, OLD),
        (105, "shop_order", "wc-checkout-draft", "EUR", "5", 7, 0, OLD, OLD),
        (106, "shop_order", "wc-shipped", "EUR", "5", 7, 0, OLD, OLD),
        (107, "shop_order", "wc-pending", None, None, None, None, OLD, None),
        (108, "shop_order", "wc-failed", "EUR", "5", 7, 0, OLD, OLD),
        (109, "shop_order", "wc-refunded", "EUR", "5", 7, 0, OLD, OLD),
        (110, "shop_subscription", "wc-active", "EUR", "5", 7, 0, OLD, OLD),
    )
    crm.insert(
        db,
        "wp_wc_order_stats",
        "order_id customer_id status",
        (101, 1, "wc-completed"),
        (102, 2, "wc-processing"),
        (103, 0, "wc-completed"),
        (104, 1, "trash"),
        (109, 1, "wc-refunded"),
    )
    crm.insert(
        db,
        "wp_wc_order_addresses",
        "order_id address_type company address_1 address_2 phone",
        (101, "billing", "Acme", "Main St 1", "", "+44 113 496 0000"),
        (101, "shipping", "Dock", "Quay 4", "", "0"),
        (102, "billing", "", "Weg 2", "3rd floor", ""),
        (109, "billing", None, "Main St 5", None, "+44 113 496 0005"),
    )
    lines = (
        "order_id order_item_id product_id variation_id customer_id product_qty "
        "product_net_revenue coupon_amount date_created"
    )
    crm.insert(
        db,
        "wp_wc_order_product_lookup",
        lines,
        (101, 1, 11, 12, 1, 2, 179.1, 19.9, "2024-01-05 11:00:00"),
        (101, 2, 15, 0, 1, 3, 10, 0, "2024-01-05 11:00:00"),
        (102, 3, 11, 0, 2, 1, 89.5, 0, "2024-01-05 11:00:00"),
        (103, 4, 11, 12, 1, -1, -99.5, 0, "2024-03-01 13:00:00"),
        (103, 5, 15, 0, 1, 0, -7.5, 0, "2024-03-01 13:00:00"),
        (105, 6, 15, 0, None, 1, 5, 0, "2024-01-05 11:00:00"),
        (109, 7, 15, 0, None, 1, 5, 0, "2024-01-05 11:00:00"),
        (999, 8, 15, 0, None, 1, 5, 0, "2024-01-05 11:00:00"),  # left over of a deleted order
    )


def reviews(db):
    crm.insert(
        db,
        "wp_comments",
        "comment_ID comment_post_ID comment_author comment_author_email comment_date_gmt "
        "comment_date comment_content comment_approved comment_type comment_parent user_id",
        (1, 11, "Ann", "a@ex.org", OLD, NEW, "I <b>like</b> it", "1", "review", 0, 7),
        (2, 11, "Shop", "us@example.org", OLD, NEW, "Thanks!", "1", "review", 1, 1),
        (3, 11, "Spam", "x@example.org", OLD, NEW, "Buy", "spam", "review", 0, 0),
        (4, 15, "Zoe", "", OLD, NEW, "", "1", "review", 0, 0),
        (5, 15, "Ben", "ben@ex.org", ZERO, NEW, "Local time", "1", "review", 0, 0),
        (6, 15, "Old", "", ZERO, ZERO, "No time", "1", "review", 0, 0),
        (7, 16, "Ann", "a@ex.org", OLD, NEW, "Nice page", "1", "comment", 0, 7),
    )
    crm.insert(
        db,
        "wp_commentmeta",
        "comment_id meta_key meta_value",
        (1, "rating", "5"),
        (1, "rating", "5"),
        (1, "verified", "1"),
        (5, "rating", "1"),
    )


def filled(db):
    crm.create(db, "woocommerce")
    for fill in (people, shelf, sales, reviews):
        fill(db)
    return db


@pytest.fixture
def woocommerce(mariadb):
    return filled(mariadb)


@pytest.fixture(scope="module")
def landed(shared_mariadb, shared_warehouse):
    """The warehouse after the first load."""
    filled(shared_mariadb)
    crm.load("woocommerce", shared_warehouse)
    return shared_warehouse


LANDS = {
    "customer": (4, 0, 0, 0),
    "product": (3, 0, 0, 0),
    "customer_order": (7, 0, 0, 1),
    "order_line": (6, 0, 0, 0),
    "feedback": (3, 0, 0, 1),
}


def test_a_load_lands_every_row_once(woocommerce, warehouse):
    assert crm.load("woocommerce", warehouse) == LANDS
    assert crm.quarantined(warehouse) == [
        ("customer_order", "values", "status"),
        ("feedback", "required", "given_at"),
    ]
    before = crm.versions(warehouse, "woocommerce")
    assert crm.load("woocommerce", warehouse, "r2") == {}
    assert crm.versions(warehouse, "woocommerce") == before


def test_guests_are_customers_with_the_address_of_their_last_order(landed):
    columns = "source_id, first_name, last_name, email, phone, company, street"
    assert crm.landed(landed, "customer", columns) == [
        ("1", "Ann", "O'Neill", "a@ex.org", "+44 113 496 0005", None, "Main St 5"),
        ("2", "Ben", "Guest", "ben@ex.org", None, None, "Weg 2 3rd floor"),
        ("3", None, None, None, None, None, None),
        ("4", "Ann", "O'Neill", "a@ex.org", None, None, None),
    ]
    columns = "source_id, city, postal_code, region, country, signup_at"
    assert crm.landed(landed, "customer", columns) == [
        ("1", "Leeds", "LS1", None, "GB", "2023-12-01 08:30:00"),
        ("2", None, None, "BE", "DE", OLD),
        ("3", None, None, None, None, None),
        ("4", "Leeds", "LS1", None, "GB", None),
    ]


def test_variations_trash_and_pages_are_no_products(landed):
    columns = "source_id, name, description, category, price, in_stock, available_from"
    assert crm.landed(landed, "product", columns) == [
        ("11", "Chair", "Oak & ash", "Furniture", "89.5", True, OLD),
        ("13", "Lamp", "", None, None, False, None),
        ("15", "Pump", "", None, None, False, OLD),
    ]


def test_a_refund_is_an_order_of_negative_lines_by_the_same_customer(landed):
    orders = "source_id, customer_source_id, ordered_at, status, currency, total"
    refund = "pass_through ->> 'refund_of'"
    assert crm.landed(landed, "customer_order", f"{orders}, {refund}") == [
        ("101", "1", OLD, "completed", "EUR", "236.81", None),
        ("102", "2", OLD, "paid", "EUR", "10", None),
        ("103", "1", NEW, "refunded", "EUR", "-107", "101"),
        ("104", "1", OLD, "deleted", "EUR", "5", None),
        ("107", None, OLD, "open", None, None, None),
        ("108", None, OLD, "cancelled", "EUR", "5", None),
        ("109", "1", OLD, "refunded", "EUR", "5", None),
    ]
    money = "quantity, unit_price, discount, round(quantity * unit_price - discount, 2)"
    lines = (
        f"source_id, order_source_id, customer_source_id, product_source_id, ordered_at, {money}"
    )
    assert crm.landed(landed, "order_line", lines) == [
        ("101-1", "101", "1", "11", OLD, "2", "99.5", "19.9", "179.1"),
        ("101-2", "101", "1", "15", OLD, "3", "3.333333", "0", "10"),
        ("102-3", "102", "2", "11", OLD, "1", "89.5", "0", "89.5"),
        ("103-4", "103", "1", "11", NEW, "-1", "99.5", "0", "-99.5"),
        ("103-5", "103", "1", "15", NEW, "-1", "7.5", "0", "-7.5"),
        ("109-7", "109", None, "15", OLD, "1", "5", "0", "5"),
    ]


def test_approved_reviews_of_customers_are_feedback(landed):
    columns = "source_id, customer_source_id, product_source_id, given_at, rating, text"
    assert crm.landed(landed, "feedback", columns) == [
        ("1", "1", "11", OLD, "5", "I like it"),
        ("4", None, "15", OLD, None, ""),
        ("5", "2", "15", NEW, "1", "Local time"),
    ]


NOW = "date_updated_gmt = UTC_TIMESTAMP()"
CHANGES = {
    "an order that is completed": (
        [f"UPDATE wp_wc_orders SET status = 'wc-completed', {NOW} WHERE id = 102"],
        {"customer_order": (0, 1, 0, 0), "order_line": (0, 1, 0, 0)},
    ),
    "an order deleted for good": (
        [
            f"DELETE FROM {table} WHERE {key} = 102"
            for table, key in (
                ("wp_wc_orders", "id"),
                ("wp_wc_order_stats", "order_id"),
                ("wp_wc_order_product_lookup", "order_id"),
            )
        ],
        {"customer": (0, 1, 0, 0), "customer_order": (0, 0, 1, 0), "order_line": (0, 0, 1, 0)},
    ),
    "a product in the trash": (
        ["UPDATE wp_posts SET post_status = 'trash' WHERE ID = 15"],
        {"product": (0, 0, 1, 0)},
    ),
    "a category of another name": (
        ["UPDATE wp_terms SET name = 'Chairs' WHERE term_id = 2"],
        {"product": (0, 1, 0, 0)},
    ),
    "a review taken back": (
        ["UPDATE wp_comments SET comment_approved = '0' WHERE comment_ID = 1"],
        {"feedback": (0, 0, 1, 0)},
    ),
    "a customer who moves": (
        ["UPDATE wp_wc_customer_lookup SET city = 'York' WHERE customer_id = 1"],
        {"customer": (0, 1, 0, 0)},
    ),
}


def test_every_change_arrives_wherever_it_is_joined(woocommerce, warehouse):
    crm.load("woocommerce", warehouse)
    for change, (statements, arrives) in CHANGES.items():
        for statement in statements:
            woocommerce.execute(statement)
        assert (change, crm.load("woocommerce", warehouse, change)) == (change, arrives)


def test_what_a_background_job_adds_hours_after_the_order_arrives(woocommerce, warehouse):
    woocommerce.execute(
        """INSERT INTO wp_wc_orders (id, type, status, date_created_gmt, date_updated_gmt)
           VALUES (201, 'shop_order', 'wc-processing', UTC_TIMESTAMP() - INTERVAL 5 HOUR,
                   UTC_TIMESTAMP() - INTERVAL 5 HOUR)"""
    )
    crm.load("woocommerce", warehouse)
    crm.insert(
        woocommerce, "wp_wc_order_stats", "order_id customer_id status", (201, 2, "wc-processing")
    )
    crm.insert(
        woocommerce,
        "wp_wc_order_product_lookup",
        "order_id order_item_id product_id variation_id product_qty product_net_revenue",
        (201, 9, 15, 0, 1, 5),
    )
    assert crm.load("woocommerce", warehouse, "r2") == {
        "customer_order": (0, 1, 0, 0),
        "order_line": (1, 0, 0, 0),
    }


def test_what_has_not_changed_is_not_read_again(woocommerce, warehouse):
    crm.load("woocommerce", warehouse)
    woocommerce.execute(f"UPDATE wp_wc_orders SET {NOW} WHERE id = 101")
    assert crm.rows_read("woocommerce", "order_line", warehouse) == 2
