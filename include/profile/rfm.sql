-- Recency, frequency and money: what all orders before as_of say.
WITH summed AS (
    SELECT customer_id,
           min(ordered_at) FILTER (WHERE lines > 0) AS first_order_at,
           max(ordered_at) FILTER (WHERE lines > 0) AS last_order_at,
           count(*) FILTER (WHERE lines > 0) AS order_count,
           sum(lines) AS line_count, sum(units) AS unit_count,
           sum(returned_units) AS returned_units,
           sum(amount) AS revenue, sum(amount) FILTER (WHERE lines > 0) AS order_revenue,
           sum(paid) AS paid, sum(discount) AS discount
    FROM placed
    GROUP BY customer_id
)
SELECT customer_id, first_order_at, last_order_at, order_count, line_count, unit_count, revenue,
       CAST(order_revenue AS double precision) / nullif(order_count, 0) AS avg_order_value,
       CAST(line_count AS double precision) / nullif(order_count, 0) AS avg_order_lines,
       CAST(unit_count AS double precision) / nullif(order_count, 0) AS avg_order_units,
       coalesce(CAST(returned_units AS double precision), 0)
           / CAST(unit_count AS double precision) AS return_rate,
       CAST(discount AS double precision)
           / nullif(CAST(paid + discount AS double precision), 0) AS discount_share
FROM summed
