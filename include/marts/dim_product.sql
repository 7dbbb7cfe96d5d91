-- Every product with what it sold; one that was bought but is in no source's list any more stays,
-- so that no product_id leads nowhere.
WITH sold AS (
    SELECT product_id, bool_and(is_product) AS is_product, ordered_on >= {as_of} - 365 AS recent,
           count(DISTINCT customer_id) FILTER (WHERE quantity > 0) AS buyers,
           sum(quantity) AS units, sum(amount) AS revenue
    FROM order_line WHERE ordered_on < {as_of} GROUP BY product_id, recent
),
channel AS (
    SELECT l.product_id, string_agg(DISTINCT o.channel, ', ' ORDER BY o.channel) AS channels
    FROM order_line AS l JOIN customer_order AS o USING (order_id)
    WHERE l.ordered_on < {as_of} AND l.ordered_on >= {as_of} - 365 AND l.quantity > 0
    GROUP BY l.product_id
),
known AS (
    SELECT product_id, name, source, category, subcategory, brand, supplier, price, currency,
           in_stock, is_product, age_restricted, available_on, discontinued_on
    FROM product
    UNION ALL BY NAME
    SELECT product_id, product_id AS name, split_part(product_id, ':', 1) AS source,
           false AS in_stock, bool_and(is_product) AS is_product
    FROM sold WHERE product_id NOT IN (SELECT product_id FROM product) GROUP BY product_id
)
SELECT known.*, coalesce(sold.buyers, 0) AS buyers_365d, coalesce(sold.units, 0) AS units_365d,
       coalesce(sold.revenue, 0) AS revenue_365d, channel.channels
FROM known LEFT JOIN sold ON sold.product_id = known.product_id AND sold.recent
LEFT JOIN channel ON channel.product_id = known.product_id
