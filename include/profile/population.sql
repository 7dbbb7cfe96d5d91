-- What needs all customers, or the day alone: computed last, from the columns of the themes.
-- No other file may compare customers or count days to as_of: so a row stays as it is until
-- something happens to its customer.
WITH dated AS (
    SELECT customer_id, CAST(last_order_at AS date) AS last_order_on,
           CAST(first_order_at AS date) AS first_order_on
    FROM facts
), counted AS (
    SELECT facts.*, last_order_on, first_order_on, {as_of} - last_order_on AS recency,
           {as_of} - first_order_on AS age
    FROM facts JOIN dated USING (customer_id)
), priced AS (  -- twice the middle rank: customers of equal price share a band
    SELECT customer_id, rank() OVER price - 1 + count(*) OVER price AS middle,
           count(*) OVER () AS buyers
    FROM facts
    WHERE avg_unit_price IS NOT NULL
    WINDOW price AS (ORDER BY avg_unit_price)
), turn AS (  -- what follows a category, for most customers first
    SELECT previous_category, last_category,
           row_number() OVER (PARTITION BY previous_category
               ORDER BY count(*) DESC, last_category COLLATE "C") AS place
    FROM facts
    WHERE previous_category IS NOT NULL
    GROUP BY previous_category, last_category
), likely AS (
    SELECT previous_category AS last_category, last_category AS top_need_category
    FROM turn
    WHERE place = 1
), town AS (
    SELECT country, city, count(*) AS city_customers FROM facts WHERE city IS NOT NULL
    GROUP BY country, city
), land AS (
    SELECT country, row_number() OVER (ORDER BY count(*) DESC, country COLLATE "C") AS place
    FROM facts WHERE country IS NOT NULL
    GROUP BY country
), middle AS (
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY largest_order_value) AS value FROM facts
), bulk AS (  -- as decimals; null without buyers
    SELECT max(value) + {bulk_limit_mads} * percentile_disc(0.5)
               WITHIN GROUP (ORDER BY abs(largest_order_value - value)) AS above
    FROM facts CROSS JOIN middle
)
SELECT customer_id,
       {as_of} - signup_date AS tenure_days,
       order_count - same_day_order_count AS purchase_day_count,
       recency AS recency_days,
       age AS days_since_first_order,
       first_order_on - signup_date AS signup_to_order_days,
       CAST(order_count AS double precision) * 30 / greatest(age, 30) AS orders_a_month,
       CAST(recency AS double precision) / gap_days_median AS overdue_ratio,
       (recency - gap_days_mean) / nullif(gap_days_std, 0) AS overdue_spread,
       {as_of} - replenish_due_date AS replenish_overdue_days,
       {as_of} - last_ticket_date AS ticket_recency_days,
       {as_of} - last_rating_date AS rating_recency_days,
       {as_of} - last_visit_date AS visit_recency_days,
       {as_of} - last_view_date AS view_recency_days,
       {as_of} - last_cart_date AS cart_recency_days,
       {as_of} - last_mail_open_date AS mail_open_recency_days,
       {as_of} - last_mail_click_date AS mail_click_recency_days,
       CASE WHEN recency IS NULL THEN 'prospect'
            WHEN age <= 90 THEN 'new'
            WHEN recency <= 90 THEN 'active'
            WHEN recency <= 180 THEN 'cooling'
            WHEN recency <= 365 THEN 'dormant'
            ELSE 'lost' END AS lifecycle_stage,
       CASE WHEN 3 * middle < 2 * buyers THEN 'low'
            WHEN 3 * middle > 4 * buyers THEN 'high'
            WHEN middle IS NOT NULL THEN 'middle' END AS price_band,
       CAST(middle AS double precision) / (2 * buyers) AS price_rank,
       top_need_category, city_customers,
       land.place = 1 AS is_home_country,
       CASE WHEN largest_order_value IS NOT NULL
            THEN largest_order_value > above AND 2 * largest_order_value > revenue END
           AS is_bulk_buyer
FROM counted
LEFT JOIN priced USING (customer_id)
LEFT JOIN likely USING (last_category)
LEFT JOIN town USING (country, city)
LEFT JOIN land USING (country)
CROSS JOIN bulk
