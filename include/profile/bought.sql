-- One row a customer and product bought before as_of.
SELECT customer_id, product_id, count(*) AS lines, sum(quantity) AS units,
       min(ordered_on) AS first_on, max(ordered_on) AS last_on,
       sum(greatest(amount, 0)) AS amount  -- a correction at a negative price is no taste
FROM order_line
WHERE ordered_on < {as_of} AND customer_id IS NOT NULL AND quantity > 0 AND is_product
GROUP BY customer_id, product_id
