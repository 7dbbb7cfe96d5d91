-- One row a customer and order before as_of; an order of returns only has no lines.
SELECT customer_id, ordered_at, CAST(ordered_at AS date) AS ordered_on, lines, discounted_lines,
       CAST(amount AS numeric(18, 6)) AS amount, CAST(paid AS numeric(18, 6)) AS paid,
       CAST(discount AS numeric(18, 6)) AS discount, CAST(units AS numeric(18, 6)) AS units,
       CAST(returned_units AS numeric(18, 6)) AS returned_units
FROM (  -- lines bought; units of products; discount stays null where no line records one
    SELECT customer_id, min(ordered_at) AS ordered_at, sum(amount) AS amount,
           count(*) FILTER (WHERE quantity > 0) AS lines,
           count(*) FILTER (WHERE quantity > 0 AND discount > 0) AS discounted_lines,
           sum(amount) FILTER (WHERE quantity > 0) AS paid,
           sum(discount) FILTER (WHERE quantity > 0) AS discount,
           sum(quantity) FILTER (WHERE quantity > 0 AND is_product) AS units,
           sum(-quantity) FILTER (WHERE quantity < 0 AND is_product) AS returned_units
    FROM order_line
    WHERE ordered_on < {as_of} AND customer_id IS NOT NULL
    GROUP BY customer_id, order_id
) AS summed
