-- How the customer was served: tickets and ratings before as_of. An answer or a closing on or after
-- as_of has not happened yet.
WITH asked AS (
    SELECT customer_id, opened_on,
           closed_on < {as_of} AS closed,
           CASE WHEN first_answer_at < {as_of}
                THEN greatest({epoch(first_answer_at)} - {epoch(opened_at)}, 0) END AS answer_seconds,
           CASE WHEN closed_on < {as_of}
                THEN greatest({epoch(closed_at)} - {epoch(opened_at)}, 0) END AS solve_seconds,
           reopened
    FROM ticket
    WHERE opened_on < {as_of} AND customer_id IS NOT NULL
), served AS (
    SELECT customer_id, count(*) AS ticket_count,
           count(*) FILTER (WHERE opened_on >= {as_of} - 365) AS tickets_365d,
           {as_of} - max(opened_on) AS ticket_recency_days,
           CAST(sum(answer_seconds) AS double precision) / nullif(count(answer_seconds), 0) / 3600
               AS first_answer_hours_mean,
           CAST(sum(solve_seconds) AS double precision) / nullif(count(solve_seconds), 0) / 3600
               AS solve_hours_mean,
           count(*) FILTER (WHERE closed AND reopened > 0) AS reopened_tickets
    FROM asked
    GROUP BY customer_id
), rated AS (  -- as decimals: the sum of floats depends on their order
    SELECT customer_id, count(rating) AS rating_count,
           CAST(sum(CAST(rating AS decimal(9, 4))) AS double precision) / nullif(count(rating), 0)
               AS rating_mean,
           CAST(min(rating) AS double precision) AS rating_lowest
    FROM feedback
    WHERE given_on < {as_of} AND customer_id IS NOT NULL
    GROUP BY customer_id
)
SELECT customer_id, ticket_count, tickets_365d, ticket_recency_days, first_answer_hours_mean,
       solve_hours_mean, reopened_tickets, rating_count, rating_mean, rating_lowest
FROM served FULL JOIN rated USING (customer_id)
