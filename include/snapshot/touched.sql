-- Customers of every version that appeared or went: the owners of then and of now.
WITH changed_order AS (
    SELECT DISTINCT v.source, v.source_id FROM landing.customer_order v WHERE {changed}
),
changed_product AS (  -- but for what says nothing of the buyers, and changes every day
    SELECT v.source, v.source_id FROM landing.product v GROUP BY v.source, v.source_id
    HAVING min(v.valid_from) >= {since}
        OR count(DISTINCT (v.name, v.category, v.subcategory, v.brand, v.supplier, v.price, v.cost,
                           v.currency, v.is_product, v.age_restricted, v.deleted_at IS NULL)) > 1
),
changed_line AS (  -- three joins: one without a changed row on its other side reads nothing
    SELECT v.source, v.customer_source_id, v.order_source_id FROM landing.order_line v
    WHERE {changed}
    UNION ALL SELECT v.source, v.customer_source_id, v.order_source_id FROM landing.order_line v
    JOIN changed_order o ON (o.source, o.source_id) = (v.source, v.order_source_id)
    UNION ALL SELECT v.source, v.customer_source_id, v.order_source_id FROM landing.order_line v
    JOIN changed_product p ON (p.source, p.source_id) = (v.source, v.product_source_id)
),
about AS (  -- what else may be about a product
    SELECT source, customer_source_id, product_source_id, valid_from, valid_to
    FROM landing.interaction t
    UNION ALL SELECT source, customer_source_id, product_source_id, valid_from, valid_to
    FROM landing.ticket t
    UNION ALL SELECT source, customer_source_id, product_source_id, valid_from, valid_to
    FROM landing.feedback t
),
record AS (
    SELECT v.source, v.source_id FROM landing.customer v WHERE {changed}
    UNION SELECT v.source, v.customer_source_id FROM landing.customer_order v WHERE {changed}
    UNION SELECT l.source, l.customer_source_id FROM changed_line l
    UNION SELECT o.source, o.customer_source_id FROM changed_line l
    JOIN landing.customer_order o ON (o.source, o.source_id) = (l.source, l.order_source_id)
    UNION SELECT v.source, v.customer_source_id FROM landing.consent v WHERE {changed}
    UNION SELECT v.source, v.customer_source_id FROM about v WHERE {changed}
    UNION SELECT v.source, v.customer_source_id FROM about v
    JOIN changed_product p ON (p.source, p.source_id) = (v.source, v.product_source_id)
)
SELECT i.customer_id FROM record r JOIN core.identity i USING (source, source_id)
UNION SELECT v.customer_id FROM core.identity v WHERE {changed}
ORDER BY customer_id
