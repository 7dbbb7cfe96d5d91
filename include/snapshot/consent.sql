SELECT i.customer_id, c.purpose, c.granted, c.given_at AT TIME ZONE {zone} AS given_at
FROM landing.consent c
LEFT JOIN core.identity i ON (i.source, i.source_id) = (c.source, c.customer_source_id)
WHERE c.deleted_at IS NULL
ORDER BY c.source COLLATE "C", c.source_id COLLATE "C"
