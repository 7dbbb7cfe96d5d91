-- Who moved: from the segments of the last earlier day to today's; (new) and (gone) complete it.
SELECT coalesce(p.segment_key, '(new)') AS from_key,
       coalesce(m.segment_key, '(gone)') AS to_key,
       count(*) AS customers,
       coalesce(sum(c.revenue), 0) AS revenue
FROM customer_segment AS m
FULL JOIN previous_segment AS p USING (customer_id)
LEFT JOIN customer_profile AS c USING (customer_id)
GROUP BY ALL
