-- What the customer will want next: the categories of the last purchase days, the product that is
-- bought again and again, and the requests still open on as_of.
WITH by_category AS (
    SELECT order_line.customer_id, order_line.ordered_on, category, sum(amount) AS amount,
           max(sum(amount)) OVER (PARTITION BY order_line.customer_id, order_line.ordered_on)
               AS top_amount
    FROM order_line
    JOIN purchase_day ON purchase_day.customer_id = order_line.customer_id
        AND purchase_day.ordered_on = order_line.ordered_on AND is_late
    JOIN product ON product.product_id = order_line.product_id
    WHERE order_line.ordered_on < {as_of} AND quantity > 0 AND order_line.is_product
        AND category IS NOT NULL
    GROUP BY order_line.customer_id, order_line.ordered_on, category
), day AS (  -- stands for the category that most of its money went to
    SELECT customer_id, min(category COLLATE "C") AS category,
           row_number() OVER (PARTITION BY customer_id ORDER BY ordered_on DESC) AS place
    FROM by_category
    WHERE amount = top_amount
    GROUP BY customer_id, ordered_on
), turn AS (
    SELECT customer_id, max(CASE WHEN place = 1 THEN category END) AS last_category,
           max(CASE WHEN place = 2 THEN category END) AS previous_category
    FROM day
    GROUP BY customer_id
), repeated AS (
    SELECT customer_id, product_id, last_on, last_on - first_on AS days, lines,
           lines = max(lines) OVER (PARTITION BY customer_id) AS is_most
    FROM bought
    WHERE last_on > first_on
), chosen AS (  -- of equals the one bought last, then by name
    SELECT repeated.*, row_number() OVER (PARTITION BY customer_id
               ORDER BY last_on DESC, product_id COLLATE "C") AS place
    FROM repeated
    WHERE is_most
), staple AS (
    SELECT customer_id, product_id AS replenish_product_id,
           CAST(days AS double precision) / (lines - 1) AS replenish_gap_days,
           last_on + CAST(floor(CAST(days AS double precision) / (lines - 1)) AS integer)
               AS replenish_due_date
    FROM chosen
    WHERE place = 1
), request AS (
    SELECT customer_id, count(*) AS open_tickets
    FROM ticket
    WHERE opened_on < {as_of} AND (closed_on IS NULL OR closed_on >= {as_of})
        AND customer_id IS NOT NULL
    GROUP BY customer_id
)
SELECT customer_id, last_category, previous_category, replenish_product_id, replenish_gap_days,
       replenish_due_date, open_tickets
FROM turn FULL JOIN staple USING (customer_id) FULL JOIN request USING (customer_id)
