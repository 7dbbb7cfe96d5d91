-- One row a source record. The birth date stays behind, its year goes along; of e-mail and names
-- it only says whether they are those of staff, or of an account that somebody made to try things.
SELECT i.customer_id, c.source, c.source_id,
       (c.signup_at AT TIME ZONE {zone})::date AS signup_on,
       extract(year FROM c.birth_date)::integer AS birth_year,
       c.gender, c.is_company, c.city, c.region, c.country, c.language,
       coalesce(split_part(lower(btrim(c.email)), '@', 2) = ANY ({staff}::text[]), false)
           AS is_staff,
       -- a word before an @ without a domain is no user: people write test@test to get past a form
       ARRAY[lower(btrim(c.first_name)), lower(btrim(c.last_name)), lower(btrim(c.full_name)),
             lower(btrim(concat_ws(' ', c.first_name, c.last_name))),
             CASE WHEN strpos(split_part(c.email, '@', 2), '.') > 0
                  THEN split_part(split_part(lower(btrim(c.email)), '@', 1), '+', 1) END]
           && {tests}::text[] AS is_test
FROM landing.customer c LEFT JOIN core.identity i USING (source, source_id)
WHERE c.deleted_at IS NULL
ORDER BY c.source COLLATE "C", c.source_id COLLATE "C"
