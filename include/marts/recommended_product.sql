-- What is offered most: bi.recommendation counted by product, so that no report has to.
SELECT r.list, r.product_id, coalesce(any_value(p.name), r.product_id) AS product_name,
       any_value(p.category) AS category, count(*) AS customers,
       count(*) FILTER (WHERE r.rank = 1) AS first_place_customers, avg(r.rank) AS mean_rank
FROM recommendation AS r LEFT JOIN product AS p USING (product_id)
GROUP BY r.list, r.product_id
