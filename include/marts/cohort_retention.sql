-- A customer is in the cohort of the month of the first purchase and counts in every month with one.
WITH monthly AS (
    SELECT customer_id, date_trunc('month', ordered_on)::date AS month,
           count(DISTINCT order_id) FILTER (WHERE quantity > 0) AS orders, sum(amount) AS revenue
    FROM order_line WHERE customer_id IS NOT NULL AND ordered_on < {as_of} GROUP BY ALL
),
placed AS (
    SELECT *, min(month) FILTER (WHERE orders > 0) OVER (PARTITION BY customer_id) AS cohort_month
    FROM monthly
),
cohort AS (
    SELECT cohort_month, count(DISTINCT customer_id) AS cohort_customers
    FROM placed WHERE cohort_month IS NOT NULL GROUP BY cohort_month
),
counted AS (
    SELECT cohort_month, date_diff('month', cohort_month, month) AS month_number,
           count(*) FILTER (WHERE orders > 0) AS customers, sum(orders) AS orders,
           sum(revenue) AS revenue
    FROM placed WHERE month >= cohort_month GROUP BY ALL
)
-- A month in which nobody of a cohort bought is a row of zeros, not a gap.
SELECT c.cohort_month, n.month_number, c.cohort_customers,
       coalesce(m.customers, 0) AS customers, coalesce(m.customers, 0) / c.cohort_customers AS retention,
       coalesce(m.orders, 0) AS orders, coalesce(m.revenue, 0) AS revenue,
       c.cohort_month + to_months(n.month_number::int + 1) <= {as_of} AS is_complete
FROM cohort AS c
CROSS JOIN LATERAL (SELECT unnest(range(
    date_diff('month', c.cohort_month, date_trunc('month', {as_of} - 1)::date) + 1)) AS month_number
) AS n
LEFT JOIN counted AS m USING (cohort_month, month_number)
