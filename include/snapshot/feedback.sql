-- The text stays behind: people write names and numbers into it.
SELECT f.source || ':' || f.source_id AS feedback_id, i.customer_id,
       f.source || ':' || f.product_source_id AS product_id,
       f.given_at AT TIME ZONE {zone} AS given_at, f.rating, f.channel
FROM landing.feedback f
LEFT JOIN core.identity i ON (i.source, i.source_id) = (f.source, f.customer_source_id)
WHERE f.deleted_at IS NULL
ORDER BY f.source COLLATE "C", f.source_id COLLATE "C"
