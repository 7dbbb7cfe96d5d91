-- Who the customer is, by the records that had signed up before as_of. Its rows are the profile's:
-- everyone who had signed up (or whose sign-up is unknown), or had ordered. And what of it is noise.
WITH record AS (
    SELECT customer.*, signup_on IS NULL OR signup_on < {as_of} AS known,
           row_number() OVER (PARTITION BY customer_id ORDER BY signup_on DESC NULLS LAST,
               source COLLATE "C", source_id COLLATE "C") AS place  -- newest first
    FROM customer
    WHERE customer_id IS NOT NULL
), described AS (  -- where records differ: the newest that says anything
    SELECT customer_id, min(signup_on) AS first_signup,
           min(signup_on) FILTER (WHERE known) AS signup_date,
           string_agg(DISTINCT source COLLATE "C", ', ' ORDER BY source COLLATE "C")
               FILTER (WHERE known) AS sources,
           count(*) FILTER (WHERE known) AS record_count,
           (array_agg(country ORDER BY place)
                FILTER (WHERE known AND country IS NOT NULL))[1] AS country,
           (array_agg(region ORDER BY place)
                FILTER (WHERE known AND region IS NOT NULL))[1] AS region,
           (array_agg(city ORDER BY place)
                FILTER (WHERE known AND city IS NOT NULL))[1] AS city,
           (array_agg(language ORDER BY place)
                FILTER (WHERE known AND language IS NOT NULL))[1] AS language,
           (array_agg(gender ORDER BY place)
                FILTER (WHERE known AND gender IS NOT NULL))[1] AS gender,
           (array_agg(is_company ORDER BY place)
                FILTER (WHERE known AND is_company IS NOT NULL))[1] AS is_company,
           (array_agg(birth_year ORDER BY place)
                FILTER (WHERE known AND birth_year IS NOT NULL))[1] AS birth_year,
           bool_or(is_staff) FILTER (WHERE known) AS is_staff,
           bool_or(is_test) FILTER (WHERE known) AS is_test
    FROM record
    GROUP BY customer_id
), buyer AS (
    SELECT customer_id, true AS has_ordered FROM placed GROUP BY customer_id
), passed_over AS (
    SELECT customer_id, count(*) AS left_out_order_count
    FROM customer_order
    WHERE is_left_out AND ordered_on < {as_of}
    GROUP BY customer_id
), answer AS (  -- at the same moment a no counts more than a yes
    SELECT customer_id, max(given_on) AS last_consent_date,
           (array_agg(granted ORDER BY given_at DESC NULLS LAST, granted)
                FILTER (WHERE purpose = 'marketing'))[1] AS marketing,
           (array_agg(granted ORDER BY given_at DESC NULLS LAST, granted)
                FILTER (WHERE purpose = 'personalisation'))[1] AS personalisation
    FROM consent
    WHERE given_on < {as_of}
    GROUP BY customer_id
), person AS (
    SELECT customer_id, country, region, city, language, gender, is_company, signup_date, sources,
           record_count, is_staff, is_test, extract(year FROM {as_of}) - birth_year AS age,
           (SELECT bool_or(consent_mapped) FROM manifest) AS consent_mapped
    FROM described FULL JOIN buyer USING (customer_id)
    WHERE has_ordered OR first_signup IS NULL OR first_signup < {as_of}
)
SELECT customer_id, country, region, city, language, gender, is_company, signup_date, sources,
       coalesce(record_count, 0) AS record_count,
       CASE WHEN age < 0 OR age > 120 THEN NULL
            WHEN age < 18 THEN 'under 18'
            WHEN age < 25 THEN '18-24'
            WHEN age < 35 THEN '25-34'
            WHEN age < 45 THEN '35-44'
            WHEN age < 55 THEN '45-54'
            WHEN age < 65 THEN '55-64'
            WHEN age >= 65 THEN '65+' END AS age_band,
       CASE WHEN consent_mapped THEN coalesce(marketing, false) END AS consent_marketing,
       CASE WHEN consent_mapped THEN coalesce(personalisation, false) END AS consent_personalisation,
       last_consent_date,
       -- a flag is never null: whoever asks for those without it must not lose the others
       coalesce(is_staff, false) AS is_staff, coalesce(is_test, false) AS is_test,
       coalesce(left_out_order_count, 0) AS left_out_order_count
FROM person
LEFT JOIN answer USING (customer_id)
LEFT JOIN passed_over USING (customer_id)
