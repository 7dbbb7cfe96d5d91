-- The keys of every customer record, normalised and hashed: no personal data leaves this query.
-- A placeholder is no key. Companies are compared by their name where a person has a last name.
CREATE TEMP TABLE identity_record ON COMMIT DROP AS
WITH trimmed AS MATERIALIZED (  -- else the planner copies each expression into every use
    SELECT source, source_id,
           btrim(person_key) AS person_key,
           lower(btrim(email, E' \t\r\n\u00a0')) AS email,
           -- from "ext." or "x" on it is an extension, not the number
           regexp_replace(regexp_replace(lower(phone), '(ext|x|#|;).*$', ''), '[^0-9]+', '', 'g')
               AS digits,
           lower(regexp_replace(
               normalize(
                   coalesce(
                       nullif(btrim(last_name), ''),
                       CASE WHEN full_name LIKE '%,%' THEN split_part(full_name, ',', 1)
                            ELSE nullif(regexp_replace(btrim(full_name), '^.*\s', ''), '') END,
                       CASE WHEN is_company THEN company END
                   ), NFD),
               -- blanks, ASCII punctuation and the accents that NFD has parted from their letters
               '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u0300-\u036f\u2018\u2019]+',
               '', 'g')) AS last_name
    FROM landing.customer
), keyed AS (
    SELECT source, source_id,
           CASE WHEN lower(regexp_replace(person_key, '^[^:]*:\s*', ''))
                     NOT IN ('', '0', '-', 'null', 'none', 'na', 'n/a', 'unknown')
                THEN person_key END AS person_key,
           CASE WHEN email ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:].]+$'
                 AND split_part(email, '@', 1) NOT IN (
                     'noreply', 'no-reply', 'donotreply', 'do-not-reply', 'noemail', 'no-email',
                     'nomail', 'none', 'na', 'n.a', 'null', 'unknown', 'nobody', 'test', 'xxx')
                THEN email END AS email,
           -- nine digits say the same with and without country code or trunk zero
           CASE WHEN length(digits) >= 9 AND digits !~ '([0-9])\1{6}$'
                 AND right(digits, 9) NOT IN (
                     '123456789', '234567890', '012345678', '987654321', '876543210')
                THEN right(digits, 9) END AS phone,
           CASE WHEN last_name NOT IN (
                     '', 'unknown', 'na', 'none', 'null', 'nn', 'xxx', 'test', 'guest', 'anonymous')
                THEN replace(translate(last_name, 'øłđı', 'oldi'), 'ß', 'ss') END AS last_name
    FROM trimmed
)
SELECT row_number() OVER (ORDER BY source COLLATE "C", source_id COLLATE "C") - 1 AS n,
       source, source_id,
       coalesce(('x' || left(md5(person_key), 16))::bit(64)::bigint, 0) AS person_key,
       CASE WHEN person_key LIKE '%:%'
            THEN ('x' || left(md5(split_part(person_key, ':', 1)), 16))::bit(64)::bigint
            ELSE 0 END AS namespace,
       coalesce(('x' || left(md5(email), 16))::bit(64)::bigint, 0) AS email,
       coalesce(('x' || left(md5(phone), 16))::bit(64)::bigint, 0) AS phone,
       coalesce(('x' || left(md5(last_name), 16))::bit(64)::bigint, 0) AS last_name
FROM keyed
