-- All 25 fields, the empty ones too: a heat map has no holes.
WITH field AS (
    SELECT r.recency, f.frequency
    FROM range(1, 6) AS r (recency), range(1, 6) AS f (frequency)
),
found AS (
    SELECT left(s.rfm_code, 1)::int AS recency, substr(s.rfm_code, 2, 1)::int AS frequency,
           count(*) AS customers, sum(p.revenue) AS revenue
    FROM customer_segment AS s JOIN customer_profile AS p USING (customer_id)
    WHERE s.rfm_code IS NOT NULL GROUP BY ALL
)
SELECT field.recency, field.frequency, coalesce(customers, 0) AS customers,
       coalesce(coalesce(customers, 0) / nullif(sum(customers) OVER (), 0), 0) AS customer_share,
       coalesce(revenue, 0) AS revenue,
       coalesce(revenue, 0)::double / nullif(sum(revenue) OVER (), 0)::double AS revenue_share
FROM field LEFT JOIN found USING (recency, frequency)
