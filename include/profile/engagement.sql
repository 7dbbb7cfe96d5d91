-- What the customer did without buying, before as_of: visits, views, carts, mails and answers.
WITH summed AS (
    SELECT customer_id,
           count(*) FILTER (WHERE kind = 'visit') AS visit_count,
           count(*) FILTER (WHERE kind = 'visit' AND happened_on >= {as_of} - 30) AS visits_30d,
           count(*) FILTER (WHERE kind = 'visit' AND happened_on >= {as_of} - 90) AS visits_90d,
           max(happened_on) FILTER (WHERE kind = 'visit') AS last_visit_date,
           count(*) FILTER (WHERE kind = 'view') AS view_count,
           count(*) FILTER (WHERE kind = 'view' AND happened_on >= {as_of} - 90) AS views_90d,
           max(happened_on) FILTER (WHERE kind = 'view') AS last_view_date,
           count(*) FILTER (WHERE kind = 'cart') AS cart_count,
           count(*) FILTER (WHERE kind = 'cart' AND happened_on >= {as_of} - 90) AS carts_90d,
           max(happened_on) FILTER (WHERE kind = 'cart') AS last_cart_date,
           count(*) FILTER (WHERE kind = 'mail_sent') AS mail_count,
           count(*) FILTER (WHERE kind = 'mail_open') AS opened,
           count(*) FILTER (WHERE kind = 'mail_click') AS clicked,
           max(happened_on) FILTER (WHERE kind = 'mail_open') AS last_mail_open_date,
           max(happened_on) FILTER (WHERE kind = 'mail_click') AS last_mail_click_date,
           count(*) FILTER (WHERE kind = 'campaign_answer') AS campaign_answer_count
    FROM interaction
    WHERE happened_on < {as_of} AND customer_id IS NOT NULL
    GROUP BY customer_id
)
SELECT customer_id, visit_count, visits_30d, visits_90d, last_visit_date, view_count, views_90d,
       last_view_date, cart_count, carts_90d, last_cart_date, mail_count,
       CAST(opened AS double precision) / nullif(mail_count, 0) AS mail_open_rate,
       CAST(clicked AS double precision) / nullif(mail_count, 0) AS mail_click_rate,
       CAST(cart_count AS double precision) / nullif(visit_count, 0) AS carts_per_visit,
       last_mail_open_date, last_mail_click_date, campaign_answer_count
FROM summed
