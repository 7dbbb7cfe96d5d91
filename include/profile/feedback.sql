-- What the customer said: ratings before as_of. As decimals: the sum of floats depends on their
-- order.
WITH rated AS (
    SELECT customer_id, given_on, CAST(rating AS numeric(9, 4)) AS rating,
           row_number() OVER (PARTITION BY customer_id
               ORDER BY given_at DESC, feedback_id COLLATE "C") AS place
    FROM feedback
    WHERE given_on < {as_of} AND customer_id IS NOT NULL AND rating IS NOT NULL
), summed AS (
    SELECT customer_id, count(*) AS rating_count, max(given_on) AS last_rating_date,
           count(*) FILTER (WHERE given_on >= {as_of} - 365) AS ratings_365d,
           CAST(sum(rating) AS double precision) / count(*) AS rating_mean,
           CAST(min(rating) AS double precision) AS rating_lowest,
           CAST(max(CASE WHEN place = 1 THEN rating END) AS double precision) AS rating_latest,
           CAST(sum(CASE WHEN place > 1 THEN rating END) AS double precision)
               / nullif(count(*) - 1, 0) AS rating_before
    FROM rated
    GROUP BY customer_id
)
SELECT customer_id, rating_count, last_rating_date, ratings_365d, rating_mean, rating_lowest,
       rating_latest, rating_latest - rating_before AS rating_trend
FROM summed
