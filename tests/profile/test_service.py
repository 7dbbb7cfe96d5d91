def ticket(opened, answered=None, closed=None, reopened=0, customer=1):
    return {
        "customer_id": customer, "opened_at": opened, "first_answer_at": answered,
        "closed_at": closed, "reopened": reopened,
    }  # fmt: skip


def test_waiting_times_are_of_what_happened_before_as_of(theme):
    assert theme(
        "service",
        "ticket_count, tickets_365d, ticket_recency_days, first_answer_hours_mean, "
        "solve_hours_mean, reopened_tickets",
        ticket=[
            ticket("2025-01-01 10:00", "2025-01-01 11:00", "2025-01-02 10:00", reopened=2),
            ticket("2026-02-27 10:00", "2026-02-27 13:00", "2026-03-01 10:00", reopened=1),
            ticket("2026-02-28 10:00", "2026-03-01 00:00"),
            ticket("2026-03-01 00:00", "2026-03-01 00:00"),
        ],
    ) == [(3, 2, 1, 2, 24, 1)]


def test_ratings_are_averaged_and_a_text_without_rating_is_none(theme):
    def rating(customer, value, day="2026-02-01"):
        return {"customer_id": customer, "rating": value, "given_at": day}

    assert theme(
        "service",
        "customer_id, rating_count, rating_mean, rating_lowest, ticket_count",
        feedback=[rating(1, 4.5), rating(1, 2), rating(1, 0, "2026-03-01"), rating(2, None)],
    ) == [(1, 2, 3.25, 2, None), (2, 0, None, None, None)]
