-- The rhythm of purchases: the days between the days on which something was bought.
WITH summed AS (
    SELECT customer_id, sum(orders) - count(*) AS same_day_order_count,
           count(gap_days) AS gaps,
           sum(gap_days) AS gap_sum, sum(gap_days * gap_days) AS gap_squares,
           min(gap_days) AS gap_days_shortest, max(gap_days) AS gap_days_longest,
           max(CASE WHEN is_last THEN gap_days END) AS gap_days_latest,
           max(ordered_on) AS last_order_on,
           CASE WHEN count(*) >= 3
                THEN percentile_disc(0.5) WITHIN GROUP (ORDER BY gap_days) END AS gap_days_median
    FROM purchase_day
    GROUP BY customer_id
), spread AS (
    SELECT summed.*, CAST(gap_sum AS double precision) / nullif(gaps, 0) AS gap_days_mean,
           -- of whole numbers, so that neither engine nor thread count changes a digit
           sqrt(CAST(gaps * gap_squares - gap_sum * gap_sum AS double precision)
                / nullif(gaps * (gaps - 1), 0)) AS gap_days_std
    FROM summed
)
SELECT customer_id, same_day_order_count, gap_days_mean, gap_days_std, gap_days_shortest,
       gap_days_longest, gap_days_latest, gap_days_median,
       gap_days_std / gap_days_mean AS gap_variation,
       last_order_on + CAST(gap_days_median AS integer) AS next_order_due_date
FROM spread
