-- How the customer was served: tickets before as_of. An answer or a closing on or after as_of has
-- not happened yet.
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
)
SELECT customer_id, count(*) AS ticket_count, max(opened_on) AS last_ticket_date,
       count(*) FILTER (WHERE opened_on >= {as_of} - 90) AS tickets_90d,
       count(*) FILTER (WHERE opened_on >= {as_of} - 365) AS tickets_365d,
       CAST(sum(answer_seconds) AS double precision) / nullif(count(answer_seconds), 0) / 3600
           AS first_answer_hours_mean,
       CAST(max(answer_seconds) AS double precision) / 3600 AS first_answer_hours_longest,
       CAST(sum(solve_seconds) AS double precision) / nullif(count(solve_seconds), 0) / 3600
           AS solve_hours_mean,
       count(*) FILTER (WHERE closed AND reopened > 0) AS reopened_tickets,
       CAST(count(*) FILTER (WHERE closed AND reopened > 0) AS double precision)
           / nullif(count(*) FILTER (WHERE closed), 0) AS reopened_share
FROM asked
GROUP BY customer_id
