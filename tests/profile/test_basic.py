from datetime import date as DAY


def record(customer, source, signup_on=None, **more):
    return {"customer_id": customer, "source": source, "signup_on": signup_on, **more}


def test_of_several_records_the_newest_that_says_anything_counts(profiled):
    assert profiled(
        "customer_id, city, country, signup_date, tenure_days, sources, record_count",
        customer=[
            record(1, "support", "2026-02-01", country="SE"),
            record(1, "shop", "2025-03-01", city="Oslo", country="NO"),
            record(1, "crm", None, city="Bergen", country="DK"),
        ],
    ) == [(1, "Oslo", "SE", DAY(2025, 3, 1), 365, "crm, shop, support", 3)]


def test_a_record_that_signs_up_later_is_not_seen(profiled):
    assert profiled(
        "customer_id, city, sources",
        customer=[
            record(1, "shop", "2026-02-28", city="Oslo"),
            record(1, "support", "2026-03-01", city="Bergen"),
        ],
    ) == [(1, "Oslo", "shop")]


def test_everyone_known_or_buying_before_as_of_has_one_row(profiled, line):
    assert profiled(
        "customer_id, signup_date",
        customer=[
            record(1, "shop"),
            record(2, "shop", "2026-02-28"),
            record(3, "shop", "2026-03-01"),
            record(4, "shop", "2026-03-01"),
            record(None, "shop"),
        ],
        order_line=[
            line(4, "a", "2026-02-28"),
            line(5, "b", "2026-02-28", -1),
            line(None, "c", "2026-02-28"),
            line(3, "d", "2026-03-01"),
        ],
    ) == [(1, None), (2, DAY(2026, 2, 28)), (4, None), (5, None)]


def test_age_is_told_in_bands_and_only_when_plausible(profiled):
    years = [2009, 2008, 1961, 1905, 2027, None]
    assert profiled(
        "age_band",
        customer=[record(n, "shop", birth_year=year) for n, year in enumerate(years)],
    ) == [("under 18",), ("18-24",), ("65+",), (None,), (None,), (None,)]


CONSENT = [
    {"customer_id": 1, "purpose": "marketing", "granted": False, "given_at": "2026-01-01 10:00"},
    {"customer_id": 1, "purpose": "marketing", "granted": True, "given_at": "2026-01-01 11:00"},
    {"customer_id": 1, "purpose": "marketing", "granted": False, "given_at": "2026-03-01 00:00"},
    {"customer_id": 2, "purpose": "personalisation", "granted": True, "given_at": "2026-01-01"},
]


def test_the_latest_consent_before_as_of_counts_and_none_means_no(profiled):
    assert profiled(
        "customer_id, consent_marketing, consent_personalisation",
        customer=[record(1, "shop"), record(2, "shop")],
        consent=CONSENT,
    ) == [(1, True, False), (2, False, True)]


def test_consent_is_unknown_where_no_source_maps_it(profiled):
    customer = [record(1, "shop")]
    assert profiled("consent_marketing", customer=customer) == [(None,)]
    assert profiled("consent_marketing", customer=customer, consent_mapped=True) == [(False,)]


def test_staff_and_test_accounts_are_flagged_by_any_record_that_had_signed_up(profiled, line):
    assert profiled(
        "customer_id, is_staff, is_test",
        customer=[
            record(1, "shop", "2026-02-01", is_staff=False, is_test=False),
            record(1, "support", "2026-02-28", is_staff=True, is_test=False),
            record(2, "shop", None, is_staff=False, is_test=True),
            record(3, "shop", "2026-02-28", is_staff=False, is_test=False),
            record(3, "support", "2026-03-01", is_staff=True, is_test=True),
        ],
        order_line=[line(4, "a", "2026-02-01")],
    ) == [(1, True, False), (2, False, True), (3, False, False), (4, False, False)]


def test_orders_in_a_state_that_is_left_out_are_counted_and_count_nowhere_else(profiled, line):
    def order(day, **more):
        return {"customer_id": 1, "order_id": day, "ordered_on": day, "channel": "web", **more}

    assert profiled(
        "customer_id, left_out_order_count, order_count, preferred_channel, top_channel_share",
        customer=[record(1, "shop"), record(2, "shop")],
        customer_order=[
            order("2026-02-01", is_left_out=False, channel="store"),
            order("2026-02-02", is_left_out=True),
            order("2026-02-28", is_left_out=True),
            order("2026-03-01", is_left_out=True),
        ],
        order_line=[line(1, "2026-02-01", "2026-02-01")],
    ) == [(1, 2, 1, "store", 1), (2, 0, 0, None, None)]
