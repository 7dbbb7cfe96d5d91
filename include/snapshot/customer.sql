-- One row a source record. The birth date stays behind, its year goes along.
SELECT i.customer_id, c.source, c.source_id,
       (c.signup_at AT TIME ZONE {zone})::date AS signup_on,
       extract(year FROM c.birth_date)::integer AS birth_year,
       c.gender, c.is_company, c.city, c.region, c.country, c.language
FROM landing.customer c LEFT JOIN core.identity i USING (source, source_id)
WHERE c.deleted_at IS NULL
ORDER BY c.source COLLATE "C", c.source_id COLLATE "C"
