-- What the customer likes: categories, brands, products and prices of what was bought before as_of.
-- Equals are decided by name, so that they stay put. The top of a group is the first name where the
-- value is the group's maximum: a window would sort.
WITH by_customer AS (
    SELECT customer_id, count(*) AS product_count,
           count(*) FILTER (WHERE lines > 1) AS repeat_product_count,
           sum(amount) AS amount, sum(units) AS units, max(amount) AS top_amount,
           max(CAST(amount AS double precision) / CAST(units AS double precision))
               AS highest_unit_price
    FROM bought
    GROUP BY customer_id
), dearest AS (
    SELECT bought.customer_id, product_id AS top_product_id
    FROM bought JOIN by_customer ON by_customer.customer_id = bought.customer_id
        AND bought.amount = by_customer.top_amount
), favourite AS (
    SELECT customer_id, min(top_product_id COLLATE "C") AS top_product_id
    FROM dearest
    GROUP BY customer_id
), described AS (
    SELECT customer_id, category, brand, amount FROM bought JOIN product USING (product_id)
), by_category AS MATERIALIZED (
    SELECT customer_id, category, sum(amount) AS amount
    FROM described
    WHERE category IS NOT NULL
    GROUP BY customer_id, category
), category_total AS (
    SELECT customer_id, sum(amount) AS total, max(amount) AS top_amount
    FROM by_category
    GROUP BY customer_id
), shared AS (
    SELECT by_category.*, amount = top_amount AS is_top,
           CAST(amount AS double precision) / nullif(CAST(total AS double precision), 0) AS share
    FROM by_category JOIN category_total USING (customer_id)
), taste AS (
    SELECT customer_id, count(*) AS category_count,
           min(category COLLATE "C") FILTER (WHERE is_top) AS top_category,
           max(share) AS top_category_share,
           -- as decimals: the sum of floats depends on their order
           CAST(sum(CAST(CASE WHEN share > 0 THEN -share * ln(share) ELSE 0 * share END
                         AS numeric(18, 9))) AS double precision) AS category_entropy
    FROM shared
    GROUP BY customer_id
), by_brand AS MATERIALIZED (
    SELECT customer_id, brand, sum(amount) AS amount
    FROM described
    WHERE brand IS NOT NULL
    GROUP BY customer_id, brand
), brand_total AS (
    SELECT customer_id, count(*) AS brand_count, max(amount) AS top_amount,
           CAST(max(amount) AS double precision)
               / nullif(CAST(sum(amount) AS double precision), 0) AS top_brand_share
    FROM by_brand
    GROUP BY customer_id
), branded AS (
    SELECT by_brand.customer_id, min(brand COLLATE "C") AS top_brand
    FROM by_brand JOIN brand_total ON brand_total.customer_id = by_brand.customer_id
        AND by_brand.amount = brand_total.top_amount
    GROUP BY by_brand.customer_id
)
SELECT customer_id, top_category, top_category_share, category_count, category_entropy,
       top_product_id, product_count, repeat_product_count,
       CAST(by_customer.top_amount AS double precision)
           / nullif(CAST(by_customer.amount AS double precision), 0) AS top_product_share,
       top_brand, top_brand_share, brand_count,
       CAST(amount AS double precision) / CAST(units AS double precision) AS avg_unit_price,
       highest_unit_price
FROM by_customer
LEFT JOIN favourite USING (customer_id)
LEFT JOIN taste USING (customer_id)
LEFT JOIN brand_total USING (customer_id)
LEFT JOIN branded USING (customer_id)
