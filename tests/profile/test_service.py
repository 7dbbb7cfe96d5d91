def ticket(opened, answered=None, closed=None, reopened=0, customer=1):
    return {
        "customer_id": customer, "opened_at": opened, "first_answer_at": answered,
        "closed_at": closed, "reopened": reopened,
    }  # fmt: skip


def test_waiting_times_are_of_what_happened_before_as_of(profiled):
    assert profiled(
        "ticket_count, tickets_365d, ticket_recency_days, first_answer_hours_mean, "
        "solve_hours_mean, reopened_tickets",
        customer=[{"customer_id": 1}],
        ticket=[
            ticket("2025-01-01 10:00", "2025-01-01 11:00", "2025-01-02 10:00", reopened=2),
            ticket("2026-02-27 10:00", "2026-02-27 13:00", "2026-03-01 10:00", reopened=1),
            ticket("2026-02-28 10:00", "2026-03-01 00:00"),
            ticket("2026-03-01 00:00", "2026-03-01 00:00"),
        ],
    ) == [(3, 2, 1, 2, 24, 1)]
