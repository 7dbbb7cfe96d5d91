-- Subject and body stay behind: people write names and numbers into them.
SELECT t.source || ':' || t.source_id AS ticket_id, i.customer_id,
       t.opened_at AT TIME ZONE {zone} AS opened_at,
       t.first_answer_at AT TIME ZONE {zone} AS first_answer_at,
       t.closed_at AT TIME ZONE {zone} AS closed_at,
       t.reopened, t.kind, t.priority, t.status,
       t.source || ':' || t.product_source_id AS product_id
FROM landing.ticket t
LEFT JOIN core.identity i ON (i.source, i.source_id) = (t.source, t.customer_source_id)
WHERE t.deleted_at IS NULL
ORDER BY t.source COLLATE "C", t.source_id COLLATE "C"
