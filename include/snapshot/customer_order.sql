-- Orders that were meant: neither deleted nor in a state that the domain leaves out.
-- Unsorted, like the order lines: sorting 2 M orders spills to disk.
SELECT o.source || ':' || o.source_id AS order_id, i.customer_id,
       o.ordered_at AT TIME ZONE {zone} AS ordered_at,
       o.status, o.channel, o.currency, o.total, o.discount
FROM landing.customer_order o
LEFT JOIN core.identity i ON (i.source, i.source_id) = (o.source, o.customer_source_id)
WHERE o.deleted_at IS NULL AND (o.status IS NULL OR lower(o.status) <> ALL ({left_out}::text[]))
