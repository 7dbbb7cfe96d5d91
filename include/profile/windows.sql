-- What happened lately: orders and money of the last 7, 30, 90 and 365 days before as_of.
WITH summed AS (
    SELECT customer_id,
           count(*) FILTER (WHERE lines > 0 AND ordered_on >= {as_of} - 7) AS orders_7d,
           count(*) FILTER (WHERE lines > 0 AND ordered_on >= {as_of} - 30) AS orders_30d,
           count(*) FILTER (WHERE lines > 0 AND ordered_on >= {as_of} - 90) AS orders_90d,
           count(*) FILTER (WHERE lines > 0 AND ordered_on >= {as_of} - 180) AS orders_180d,
           count(*) FILTER (WHERE lines > 0) AS orders_365d,
           sum(amount) FILTER (WHERE ordered_on >= {as_of} - 7) AS revenue_7d,
           sum(amount) FILTER (WHERE ordered_on >= {as_of} - 30) AS revenue_30d,
           coalesce(sum(amount) FILTER (WHERE ordered_on >= {as_of} - 90), 0) AS revenue_90d,
           coalesce(sum(amount) FILTER (WHERE ordered_on >= {as_of} - 180), 0) AS revenue_180d,
           sum(amount) AS revenue_365d,
           sum(amount) FILTER (WHERE lines > 0) AS order_revenue_365d,
           sum(returned_units) FILTER (WHERE ordered_on >= {as_of} - 90) AS returned_units_90d
    FROM placed
    WHERE ordered_on >= {as_of} - 365
    GROUP BY customer_id
), compared AS (
    SELECT summed.*, revenue_180d - revenue_90d AS revenue_before FROM summed
)
SELECT customer_id, orders_7d, orders_30d, orders_90d, orders_365d,
       revenue_7d, revenue_30d, revenue_90d, revenue_365d, returned_units_90d,
       CAST(2 * orders_90d - orders_180d AS double precision) / nullif(orders_180d, 0)
           AS orders_trend_90d,
       CAST(revenue_90d - revenue_before AS double precision)
           / nullif(CAST(abs(revenue_90d) + abs(revenue_before) AS double precision), 0)
           AS revenue_trend_90d,
       CAST(order_revenue_365d AS double precision) / nullif(orders_365d, 0)
           AS avg_order_value_365d
FROM compared
