-- What an order looks like: size, spread, returns and discounts of the orders before as_of.
WITH summed AS (
    SELECT customer_id, count(*) AS placed_orders, count(*) FILTER (WHERE lines > 0) AS orders,
           max(amount) FILTER (WHERE lines > 0) AS largest_order_value,
           max(units) AS largest_order_units, max(lines) AS largest_order_lines,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY CASE WHEN lines > 0 THEN amount END)
               AS order_value_median,
           sum(CASE WHEN lines > 0 THEN CAST(amount AS numeric(18, 2)) END) AS value_sum,
           sum(CASE WHEN lines > 0
                    THEN CAST(amount AS numeric(18, 2)) * CAST(amount AS numeric(18, 2)) END)
               AS value_squares,
           count(*) FILTER (WHERE lines = 1) AS single_line_orders,
           count(*) FILTER (WHERE returned_units > 0) AS return_orders,
           sum(lines) AS lines,
           CASE WHEN count(discount) > 0 THEN sum(discounted_lines) END AS discounted_lines,
           sum(paid) AS paid, sum(coalesce(paid, 0) - amount) AS returned
    FROM placed
    GROUP BY customer_id
), spread AS (
    SELECT summed.*,
           CAST(value_sum AS double precision) / nullif(orders, 0) AS value_mean,
           (CAST(value_squares AS double precision)
               - CAST(value_sum AS double precision) * CAST(value_sum AS double precision)
                   / nullif(orders, 0)) / nullif(orders - 1, 0) AS value_variance
    FROM summed
)
SELECT customer_id, largest_order_value, largest_order_units, largest_order_lines,
       order_value_median,
       CASE WHEN value_mean > 0 THEN sqrt(greatest(value_variance, 0)) / value_mean END
           AS order_value_variation,
       CAST(single_line_orders AS double precision) / nullif(orders, 0) AS single_line_share,
       CAST(return_orders AS double precision) / placed_orders AS return_order_share,
       CASE WHEN paid > 0
            THEN CAST(returned AS double precision) / CAST(paid AS double precision) END
           AS returned_value_share,
       CAST(discounted_lines AS double precision) / nullif(lines, 0) AS discounted_line_share
FROM spread
