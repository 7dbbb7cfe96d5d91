-- Each member with the segment it was in on the last earlier day, and since when it is in this one.
SELECT m.*,
       CASE WHEN p.segment_key = m.segment_key THEN p.since ELSE {as_of} END AS since,
       p.segment_key AS previous_segment_key
FROM (SELECT COLUMNS(lambda name: name NOT IN ('since', 'previous_segment_key')) FROM customer_segment) AS m
LEFT JOIN previous_segment AS p USING (customer_id)
