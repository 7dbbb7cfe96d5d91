-- What the customer will want next: the day the next order is due, the category that usually
-- follows the last one, and the requests still open on as_of.
WITH basket AS (
    SELECT order_line.customer_id, ordered_on, category, sum(amount) AS amount,
           max(CASE WHEN category IS NOT NULL THEN sum(amount) END)
               OVER (PARTITION BY order_line.customer_id, ordered_on) AS top_amount
    FROM order_line
    LEFT JOIN product ON product.product_id = order_line.product_id AND order_line.is_product
    WHERE ordered_on < {as_of} AND order_line.customer_id IS NOT NULL AND quantity > 0
    GROUP BY order_line.customer_id, ordered_on, category
), day AS (  -- stands for the category that most of its money went to
    SELECT customer_id, ordered_on,
           min(category COLLATE "C") FILTER (WHERE amount = top_amount) AS category
    FROM basket
    GROUP BY customer_id, ordered_on
), spaced AS (
    SELECT customer_id, ordered_on, category,
           ordered_on - lag(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on)
               AS gap_days,
           lead(category) OVER (PARTITION BY customer_id, category IS NULL ORDER BY ordered_on)
               AS next_category
    FROM day
), turn AS (  -- all customers: what follows a category, most often first
    SELECT category AS last_category, next_category,
           row_number() OVER (PARTITION BY category
               ORDER BY count(*) DESC, next_category COLLATE "C") AS place
    FROM spaced
    WHERE next_category IS NOT NULL
    GROUP BY category, next_category
), cadence AS (
    SELECT customer_id, max(ordered_on) AS last_order_on,
           max(CASE WHEN next_category IS NULL THEN category END) AS last_category,
           CASE WHEN count(*) >= 3
                THEN percentile_disc(0.5) WITHIN GROUP (ORDER BY gap_days) END AS gap_days_median
    FROM spaced
    GROUP BY customer_id
), request AS (
    SELECT customer_id, count(*) AS open_tickets
    FROM ticket
    WHERE opened_on < {as_of} AND (closed_on IS NULL OR closed_on >= {as_of})
        AND customer_id IS NOT NULL
    GROUP BY customer_id
), wanted AS (
    SELECT customer_id, gap_days_median, last_order_on, last_category, next_category
    FROM cadence LEFT JOIN (SELECT * FROM turn WHERE place = 1) AS likely USING (last_category)
)
SELECT customer_id, gap_days_median,
       last_order_on + CAST(gap_days_median AS integer) AS next_order_due_date,
       CAST({as_of} - last_order_on AS double precision) / gap_days_median AS overdue_ratio,
       last_category, next_category AS top_need_category, open_tickets
FROM wanted FULL JOIN request USING (customer_id)
