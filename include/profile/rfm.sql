-- Recency, frequency and money: what the orders before as_of say.
WITH placed AS (  -- by order first: count(DISTINCT ...) over the lines costs memory
    SELECT customer_id, min(ordered_at) AS ordered_at, min(ordered_on) AS ordered_on,
           max(quantity) > 0 AS bought,  -- an order of returns only is none, but its money counts
           sum(amount) AS amount,
           count(*) FILTER (WHERE quantity > 0) AS bought_lines,
           sum(quantity) FILTER (WHERE quantity > 0 AND is_product) AS units,
           sum(-quantity) FILTER (WHERE quantity < 0 AND is_product) AS returned_units,
           sum(amount) FILTER (WHERE quantity > 0) AS paid,
           sum(discount) FILTER (WHERE quantity > 0) AS discount
    FROM order_line
    WHERE ordered_on < {as_of} AND customer_id IS NOT NULL
    GROUP BY customer_id, order_id
), day AS (
    SELECT customer_id, ordered_on, bought, min(ordered_at) AS first_at, max(ordered_at) AS last_at,
           count(*) AS orders, sum(amount) AS amount, sum(bought_lines) AS bought_lines,
           sum(units) AS units, sum(returned_units) AS returned_units,
           sum(paid) AS paid, sum(discount) AS discount,
           ordered_on - lag(ordered_on)
               OVER (PARTITION BY customer_id, bought ORDER BY ordered_on) AS gap_days
    FROM placed
    GROUP BY customer_id, ordered_on, bought
), summed AS (
    SELECT customer_id,
           min(first_at) FILTER (WHERE bought) AS first_order_at,
           max(last_at) FILTER (WHERE bought) AS last_order_at,
           max(ordered_on) FILTER (WHERE bought) AS last_order_on,
           sum(orders) FILTER (WHERE bought) AS order_count,
           count(*) FILTER (WHERE bought) AS purchase_day_count,
           sum(bought_lines) AS line_count, sum(units) AS unit_count,
           sum(returned_units) AS returned_units,
           sum(amount) AS revenue, sum(amount) FILTER (WHERE bought) AS order_revenue,
           sum(paid) AS paid, sum(discount) AS discount,
           count(gap_days) FILTER (WHERE bought) AS gaps,
           sum(gap_days) FILTER (WHERE bought) AS gap_sum,
           sum(gap_days * gap_days) FILTER (WHERE bought) AS gap_squares
    FROM day
    GROUP BY customer_id
)
SELECT customer_id, first_order_at, last_order_at,
       {as_of} - last_order_on AS recency_days,
       order_count, purchase_day_count, line_count, unit_count, revenue,
       CAST(order_revenue AS double precision) / order_count AS avg_order_value,
       CAST(line_count AS double precision) / order_count AS avg_order_lines,
       CAST(unit_count AS double precision) / order_count AS avg_order_units,
       coalesce(CAST(returned_units AS double precision), 0)
           / CAST(unit_count AS double precision) AS return_rate,
       CAST(discount AS double precision)
           / nullif(CAST(paid + discount AS double precision), 0) AS discount_share,
       CAST(gap_sum AS double precision) / nullif(gaps, 0) AS gap_days_mean,
       -- of whole numbers, so that neither engine nor thread count changes a digit
       sqrt(CAST(gaps * gap_squares - gap_sum * gap_sum AS double precision)
            / nullif(gaps * (gaps - 1), 0)) AS gap_days_std
FROM summed
