-- Unsorted, like the order lines: too many to sort.
SELECT i.customer_id, t.happened_at AT TIME ZONE {zone} AS happened_at, t.kind, t.channel,
       t.source || ':' || t.product_source_id AS product_id, t.campaign, t.amount
FROM landing.interaction t
LEFT JOIN core.identity i ON (i.source, i.source_id) = (t.source, t.customer_source_id)
WHERE t.deleted_at IS NULL
