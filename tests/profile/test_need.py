from datetime import date

PRODUCT = [{"product_id": name, "category": name} for name in ("bike", "helmet", "light")]


def test_the_need_is_what_most_customers_bought_next(profiled, line):
    assert profiled(
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


def test_a_day_stands_for_its_dearest_category_and_unknown_ones_are_passed_over(profiled, line):
    assert profiled(
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


def test_a_ticket_is_open_until_the_day_it_is_closed(profiled):
    def ticket(customer, opened, closed):
        return {"customer_id": customer, "opened_at": opened, "closed_at": closed}

    assert profiled(
        "customer_id, open_tickets",
        customer=[{"customer_id": 1}, {"customer_id": 2}],
        ticket=[
            ticket(1, "2026-02-01", None),
            ticket(1, "2026-02-01", "2026-03-01 00:00"),
            ticket(1, "2026-02-01", "2026-02-28 23:00"),
            ticket(1, "2026-03-01", None),
            ticket(2, "2026-02-01", "2026-02-01"),
        ],
    ) == [(1, 2), (2, 0)]


def test_the_staple_is_what_was_bought_on_most_days_and_is_due_by_its_own_rhythm(profiled, line):
    days = ["2026-01-01", "2026-01-21", "2026-02-10"]
    assert profiled(
        "replenish_product_id, replenish_gap_days, replenish_due_date, replenish_overdue_days",
        order_line=[
            *[line(1, day, day, product="beans") for day in days],
            line(1, "x", "2026-02-25", product="filter"),
            line(1, "y", "2026-02-27", product="filter"),
        ],
    ) == [("beans", 20, date(2026, 3, 2), -1)]
