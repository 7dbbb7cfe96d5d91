-- The few columns of profile, segment, scores and value that reports group, filter and sum by.
SELECT p.customer_id, p.country, p.region, p.city, p.age_band, p.gender, p.signup_date,
       date_trunc('month', p.first_order_at)::date AS cohort_month, p.is_company, p.lifecycle_stage,
       s.segment_key, s.segment_name, s.rfm_segment, s.rfm_code, p.price_band, p.preferred_channel,
       p.top_category, p.consent_marketing, p.consent_personalisation,
       p.first_order_at::date AS first_order_date, p.last_order_at::date AS last_order_date,
       p.recency_days, p.order_count, p.avg_order_value, p.revenue, p.revenue_365d,
       churn.decile AS churn_decile, purchase.decile AS purchase_decile, v.expected_revenue_365d
FROM customer_profile AS p
JOIN customer_segment AS s USING (customer_id)
LEFT JOIN customer_value AS v USING (customer_id)
LEFT JOIN customer_score AS churn ON churn.customer_id = p.customer_id AND churn.model = 'churn'
LEFT JOIN customer_score AS purchase
       ON purchase.customer_id = p.customer_id AND purchase.model = 'purchase'
