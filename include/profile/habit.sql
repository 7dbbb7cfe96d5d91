-- When and by which channel the customer orders, before as_of.
WITH timed AS (
    SELECT customer_id, CAST(extract(hour FROM ordered_at) AS smallint) AS hour,
           CAST(extract(isodow FROM ordered_on) AS smallint) AS weekday
    FROM placed
    WHERE lines > 0
), habit AS (  -- the first of equals
    SELECT customer_id, mode() WITHIN GROUP (ORDER BY hour) AS preferred_hour,
           mode() WITHIN GROUP (ORDER BY weekday) AS preferred_weekday,
           CAST(count(*) FILTER (WHERE weekday >= 6) AS double precision) / count(*)
               AS weekend_share,
           CAST(count(*) FILTER (WHERE hour >= 18 OR hour < 6) AS double precision) / count(*)
               AS evening_share
    FROM timed
    GROUP BY customer_id
), by_channel AS (
    SELECT customer_id, channel, count(*) AS orders,
           max(count(*)) OVER (PARTITION BY customer_id) AS top_orders
    FROM customer_order
    WHERE ordered_on < {as_of} AND customer_id IS NOT NULL AND channel IS NOT NULL
        AND is_left_out IS NOT TRUE
    GROUP BY customer_id, channel
), reached AS (
    SELECT customer_id, count(*) AS channel_count,
           min(channel COLLATE "C") FILTER (WHERE orders = top_orders) AS preferred_channel,
           CAST(max(orders) AS double precision) / CAST(sum(orders) AS double precision)
               AS top_channel_share
    FROM by_channel
    GROUP BY customer_id
)
SELECT customer_id, preferred_hour, preferred_weekday, weekend_share, evening_share,
       preferred_channel, top_channel_share, channel_count
FROM habit FULL JOIN reached USING (customer_id)
