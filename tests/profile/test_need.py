from datetime import date

PRODUCT = [{"product_id": name, "category": name} for name in ("bike", "helmet", "light")]


def test_the_next_order_is_due_after_the_median_gap(theme, line):
    days = ["2026-01-01", "2026-01-11", "2026-01-21", "2026-02-19"]
    assert theme(
        "need",
        "gap_days_median, next_order_due_date, overdue_ratio",
        order_line=[line(1, day, day) for day in days],
    ) == [(10, date(2026, 3, 1), 1.0)]


def test_two_purchase_days_are_no_rhythm(theme, line):
    days = ["2026-01-01 09:00", "2026-01-01 18:00", "2026-01-11 10:00"]
    assert theme(
        "need",
        "gap_days_median, next_order_due_date, overdue_ratio",
        order_line=[line(1, day, day) for day in days],
    ) == [(None, None, None)]


def test_the_need_is_what_most_customers_bought_next(theme, line):
    assert theme(
        "need",
        "customer_id, last_category, top_need_category",
        product=PRODUCT,
        order_line=[
            line(1, "a", "2026-01-01", product="bike"),
            line(1, "b", "2026-01-02", product="light"),
            line(2, "c", "2026-01-01", product="bike"),
            line(2, "d", "2026-01-02", product="helmet"),
            line(3, "e", "2026-01-01", product="bike"),
            line(3, "f", "2026-01-09", product="helmet"),
            line(4, "g", "2026-01-01", product="bike"),
            line(4, "h", "2026-03-01", product="light"),
            line(5, "i", "2026-01-01", product="bike"),
            line(5, "j", "2026-03-02", product="light"),
        ],
    ) == [
        (1, "light", None),
        (2, "helmet", None),
        (3, "helmet", None),
        (4, "bike", "helmet"),
        (5, "bike", "helmet"),
    ]


def test_a_day_stands_for_its_dearest_category_and_unknown_ones_are_passed_over(theme, line):
    assert theme(
        "need",
        "customer_id, last_category, top_need_category",
        product=PRODUCT,
        order_line=[
            line(1, "a", "2026-01-01", product="bike", price=500),
            line(1, "a", "2026-01-01", product="light", price=20),
            line(1, "b", "2026-01-02", product="no category"),
            line(1, "c", "2026-01-03", product="helmet"),
            line(2, "d", "2026-01-03", product="bike"),
            line(2, "e", "2026-01-04", product="no category"),
        ],
    ) == [(1, "helmet", None), (2, "bike", "helmet")]


def test_a_ticket_is_open_until_the_day_it_is_closed(theme):
    def ticket(customer, opened, closed):
        return {"customer_id": customer, "opened_at": opened, "closed_at": closed}

    assert theme(
        "need",
        "customer_id, open_tickets",
        ticket=[
            ticket(1, "2026-02-01", None),
            ticket(1, "2026-02-01", "2026-03-01 00:00"),
            ticket(1, "2026-02-01", "2026-02-28 23:00"),
            ticket(1, "2026-03-01", None),
            ticket(2, "2026-02-01", "2026-02-01"),
        ],
    ) == [(1, 2)]
