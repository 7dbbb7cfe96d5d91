-- What happened lately: orders and money of the last 30, 90 and 365 days before as_of.
WITH placed AS (
    SELECT customer_id, min(ordered_on) AS ordered_on, max(quantity) > 0 AS bought,
           sum(amount) AS amount
    FROM order_line
    WHERE ordered_on < {as_of} AND ordered_on >= {as_of} - 365 AND customer_id IS NOT NULL
    GROUP BY customer_id, order_id
), summed AS (
    SELECT customer_id,
           count(*) FILTER (WHERE bought AND ordered_on >= {as_of} - 30) AS orders_30d,
           count(*) FILTER (WHERE bought AND ordered_on >= {as_of} - 90) AS orders_90d,
           count(*) FILTER (WHERE bought) AS orders_365d,
           sum(amount) FILTER (WHERE ordered_on >= {as_of} - 30) AS revenue_30d,
           coalesce(sum(amount) FILTER (WHERE ordered_on >= {as_of} - 90), 0) AS revenue_90d,
           coalesce(sum(amount) FILTER (WHERE ordered_on >= {as_of} - 180), 0) AS revenue_180d,
           sum(amount) AS revenue_365d
    FROM placed
    GROUP BY customer_id
), compared AS (
    SELECT summed.*, revenue_180d - revenue_90d AS revenue_before FROM summed
)
SELECT customer_id, orders_30d, orders_90d, orders_365d, revenue_30d, revenue_90d, revenue_365d,
       CAST(revenue_90d - revenue_before AS double precision)
           / nullif(CAST(abs(revenue_90d) + abs(revenue_before) AS double precision), 0)
           AS revenue_trend_90d
FROM compared
