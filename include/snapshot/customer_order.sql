-- Deleted orders are gone; those in a state that the domain leaves out are flagged: their lines are
-- not in order_line, and whoever reads this table for what was bought passes them over.
-- Unsorted, like the order lines: sorting 2 M orders spills to disk.
SELECT o.source || ':' || o.source_id AS order_id, i.customer_id,
       o.ordered_at AT TIME ZONE {zone} AS ordered_at,
       o.status, o.channel, o.currency, o.total, o.discount,
       coalesce(lower(o.status) = ANY ({left_out}::text[]), false) AS is_left_out
FROM landing.customer_order o
LEFT JOIN core.identity i ON (i.source, i.source_id) = (o.source, o.customer_source_id)
WHERE o.deleted_at IS NULL
