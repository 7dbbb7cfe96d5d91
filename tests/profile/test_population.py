import pytest

from include import domains


@pytest.mark.parametrize(
    ("days", "stage"),
    [
        ([], "prospect"),
        (["2026-02-20"], "new"),
        (["2025-06-01", "2026-02-20"], "active"),
        (["2025-06-01", "2025-11-01"], "cooling"),
        (["2025-04-01"], "dormant"),
        (["2024-04-01"], "lost"),
    ],
)
def test_the_stage_follows_from_the_first_and_the_last_order(profiled, line, days, stage):
    lines = [line(1, day, day) for day in days]
    customer = [{"customer_id": 1}]
    assert profiled("lifecycle_stage", customer=customer, order_line=lines) == [(stage,)]


def test_a_single_order_far_beyond_what_is_usual_is_flagged_and_stays(profiled, line):
    usual = [line(n, f"o{n}", "2026-02-01", price=10 + n) for n in range(9)]
    loyal = [line(20, f"l{n}", "2026-02-01", price=400) for n in range(3)]
    once = [line(21, "big", "2026-02-01", price=500)]
    assert profiled("is_bulk_buyer, order_count", order_line=[*usual, *loyal, *once])[-2:] == [
        (False, 3),
        (True, 1),
    ]


@pytest.mark.parametrize(("limit", "flagged"), [(10, True), (300, False)])
def test_how_far_beyond_what_is_usual_is_for_the_domain_to_say(
    profiled, line, monkeypatch, limit, flagged
):
    domain = domains.load()
    noise = domain.noise.model_copy(update={"bulk_limit_mads": limit})
    monkeypatch.setattr(domains, "load", lambda: domain.model_copy(update={"noise": noise}))
    usual = [line(n, f"o{n}", "2026-02-01", price=10 + n) for n in range(9)]
    once = [line(21, "big", "2026-02-01", price=500)]  # median 14, of the deviations 2
    assert profiled("is_bulk_buyer", order_line=[*usual, *once])[-1] == (flagged,)


def test_customers_of_the_same_city_and_of_the_commonest_country_are_told(profiled):
    places = [("NO", "Oslo"), ("NO", "Oslo"), ("NO", "Moss"), ("SE", "Oslo"), (None, None)]
    assert profiled(
        "city_customers, is_home_country",
        customer=[
            {"customer_id": n, "country": country, "city": city}
            for n, (country, city) in enumerate(places)
        ],
    ) == [(2, True), (2, True), (1, True), (1, False), (None, None)]


def test_the_first_order_is_counted_from_the_sign_up(profiled, line):
    assert profiled(
        "tenure_days, days_since_first_order, signup_to_order_days, orders_a_month",
        customer=[{"customer_id": 1, "signup_on": "2025-12-01"}],
        order_line=[line(1, day, day) for day in ("2025-12-31", "2026-01-30")],
    ) == [(90, 60, 30, 1)]
