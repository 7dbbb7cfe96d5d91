def did(kind, day, customer=1):
    return {"customer_id": customer, "kind": kind, "happened_at": day}


def test_visits_views_and_carts_are_counted_with_the_days_since_the_last(profiled):
    assert profiled(
        "visit_count, visits_30d, visits_90d, visit_recency_days, view_count, view_recency_days, "
        "cart_count, cart_recency_days, carts_per_visit",
        customer=[{"customer_id": 1}],
        interaction=[
            did("visit", "2025-01-01"),
            did("visit", "2026-01-01"),
            did("visit", "2026-02-27 23:59"),
            did("visit", "2026-03-01 00:00"),
            did("view", "2026-02-27"),
            did("cart", "2026-02-01"),
        ],
    ) == [(3, 1, 2, 2, 1, 2, 1, 28, 1 / 3)]


def test_mails_are_told_by_the_share_opened_and_clicked(profiled):
    assert profiled(
        "mail_count, mail_open_rate, mail_click_rate, mail_open_recency_days, "
        "campaign_answer_count",
        customer=[{"customer_id": 1}, {"customer_id": 2}],
        interaction=[
            *[did("mail_sent", "2026-02-01")] * 4,
            *[did("mail_open", "2026-02-02")] * 2,
            did("mail_click", "2026-02-02"),
            did("campaign_answer", "2026-02-03"),
        ],
    ) == [(4, 0.5, 0.25, 27, 1), (0, None, None, None, 0)]
