-- Lines of the orders that were meant; a line whose order never arrived counts.
-- Unsorted: sorting 5 M lines takes longer than reading them, and half a gigabyte of temporary disk.
SELECT l.source || ':' || l.order_source_id AS order_id, i.customer_id,
       l.source || ':' || l.product_source_id AS product_id,
       coalesce(p.is_product, true) AS is_product,
       l.line_no, l.ordered_at AT TIME ZONE {zone} AS ordered_at,
       l.quantity, l.unit_price, l.discount,
       (l.quantity * l.unit_price - coalesce(l.discount, 0))::numeric(18, 6) AS amount
FROM landing.order_line l
LEFT JOIN landing.customer_order o ON (o.source, o.source_id) = (l.source, l.order_source_id)
LEFT JOIN landing.product p ON (p.source, p.source_id) = (l.source, l.product_source_id)
LEFT JOIN core.identity i ON i.source = l.source
     AND i.source_id = coalesce(l.customer_source_id, o.customer_source_id)
LEFT JOIN (  -- where every line counts, this is empty before anything is read
    SELECT source, source_id
    FROM (SELECT d.source, d.source_id, row_number() OVER (
              PARTITION BY d.source, d.order_source_id, d.customer_source_id, d.product_source_id,
                  d.ordered_at, d.quantity, d.unit_price, d.discount
              ORDER BY d.source_id COLLATE "C") AS place
          FROM landing.order_line d WHERE d.deleted_at IS NULL) AS alike
    WHERE place > 1 AND {count_once}
) AS again ON (again.source, again.source_id) = (l.source, l.source_id)
WHERE l.deleted_at IS NULL AND o.deleted_at IS NULL AND again.source_id IS NULL
  AND (o.status IS NULL OR lower(o.status) <> ALL ({left_out}::text[]))
