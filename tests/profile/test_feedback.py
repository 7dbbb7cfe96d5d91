def rating(customer, value, day="2026-02-01"):
    return {"customer_id": customer, "rating": value, "given_at": day, "feedback_id": day}


def test_ratings_are_averaged_and_a_text_without_rating_is_none(profiled):
    assert profiled(
        "customer_id, rating_count, rating_mean, rating_lowest",
        customer=[{"customer_id": 1}, {"customer_id": 2}],
        feedback=[rating(1, 4.5), rating(1, 2), rating(1, 0, "2026-03-01"), rating(2, None)],
    ) == [(1, 2, 3.25, 2), (2, 0, None, None)]


def test_the_trend_is_the_last_rating_against_those_before(profiled):
    assert profiled(
        "rating_latest, rating_trend, rating_recency_days, ratings_365d",
        customer=[{"customer_id": 1}],
        feedback=[rating(1, 5, "2025-01-01"), rating(1, 4, "2026-01-01"), rating(1, 2)],
    ) == [(2, -2.5, 28, 2)]
