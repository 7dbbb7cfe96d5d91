-- One row a customer and day with a positive line: the gap to the day before, and whether it is
-- among the customer's last three.
SELECT customer_id, ordered_on, count(*) AS orders,
       ordered_on - lag(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on) AS gap_days,
       lead(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on) IS NULL AS is_last,
       lead(ordered_on, 3) OVER (PARTITION BY customer_id ORDER BY ordered_on) IS NULL AS is_late
FROM placed
WHERE lines > 0
GROUP BY customer_id, ordered_on
