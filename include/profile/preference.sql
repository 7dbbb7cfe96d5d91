-- What the customer likes: categories, products and prices of what was bought before as_of, and the
-- hours, weekdays and channels of those orders. Equals are decided by name, so that they stay put.
-- The top of a group is the first name where the value is the group's maximum: row_number() sorts.
WITH bought AS MATERIALIZED (  -- or DuckDB turns the window into a join and sums twice
    SELECT customer_id, product_id, sum(quantity) AS units,
           sum(greatest(amount, 0)) AS amount  -- a correction at a negative price is no taste
    FROM order_line
    WHERE ordered_on < {as_of} AND customer_id IS NOT NULL AND quantity > 0 AND is_product
    GROUP BY customer_id, product_id
), ranked AS (
    SELECT bought.*, amount = max(amount) OVER (PARTITION BY customer_id) AS is_top FROM bought
), by_category AS (
    SELECT customer_id, category, count(*) AS products, sum(units) AS units, sum(amount) AS amount,
           min(product_id COLLATE "C") FILTER (WHERE is_top) AS top_product_id,
           max(CASE WHEN category IS NOT NULL THEN sum(amount) END)
               OVER (PARTITION BY customer_id) AS top_amount
    FROM ranked LEFT JOIN product USING (product_id)
    GROUP BY customer_id, category
), taste AS (
    SELECT customer_id, min(top_product_id COLLATE "C") AS top_product_id,
           sum(products) AS product_count, count(category) AS category_count,
           min(category COLLATE "C") FILTER (WHERE amount = top_amount) AS top_category,
           CAST(max(top_amount) AS double precision)
               / nullif(CAST(sum(amount) FILTER (WHERE category IS NOT NULL)
                        AS double precision), 0) AS top_category_share,
           CAST(sum(amount) AS double precision) / CAST(sum(units) AS double precision)
               AS avg_unit_price
    FROM by_category
    GROUP BY customer_id
), priced AS (  -- twice the middle rank: customers of equal price share a band
    SELECT taste.*, rank() OVER price - 1 + count(*) OVER price AS middle,
           count(*) OVER () AS customers
    FROM taste
    WINDOW price AS (ORDER BY avg_unit_price)
), placed AS (
    SELECT customer_id, order_id, min(ordered_on) AS ordered_on, min(ordered_hour) AS ordered_hour
    FROM order_line
    WHERE ordered_on < {as_of} AND customer_id IS NOT NULL AND quantity > 0
    GROUP BY customer_id, order_id
), habit AS (  -- the first of equals
    SELECT placed.customer_id,
           mode() WITHIN GROUP (ORDER BY placed.ordered_hour) AS preferred_hour,
           mode() WITHIN GROUP (ORDER BY extract(isodow FROM placed.ordered_on))
               AS preferred_weekday,
           mode() WITHIN GROUP (ORDER BY channel COLLATE "C") AS preferred_channel
    FROM placed LEFT JOIN customer_order USING (order_id)
    GROUP BY placed.customer_id
)
SELECT customer_id, top_category, top_category_share, category_count, top_product_id, product_count,
       avg_unit_price,
       CASE WHEN 3 * middle < 2 * customers THEN 'low'
            WHEN 3 * middle > 4 * customers THEN 'high'
            WHEN middle IS NOT NULL THEN 'middle' END AS price_band,
       preferred_hour, preferred_weekday, preferred_channel
FROM habit LEFT JOIN priced USING (customer_id)
